#include <map>

#include "base/fail.h"
#include "base/file_identity.h"
#include "vernier/export.h"

namespace vernier {

namespace {

/// The reader's half of the contract: what was written is the model, and its matrices lie there as planned.
void check_written(const Target& target, const QuantizedModel& quantized, const std::filesystem::path& path) {
  const Model& source = quantized.source();
  const ModelOutline written = outline_model(path.string());
  std::map<TensorId, const TensorOutline*> found;
  for (const TensorOutline& tensor : written.tensors) found[tensor.id] = &tensor;
  if (const size_t expected = source.tensors().size(); found.size() != expected)
    fail(ErrorKind::kInternal, "export: {}: read back with {} tensors, expected {}", path.string(), found.size(),
         expected);
  for (const TensorId& id : source.tensors())
    if (!found.contains(id) || found[id]->shape != source.shape(id))
      fail(ErrorKind::kInternal, "export: {}: read back without {} or with it in another shape", path.string(),
           name_of(id));
  for (const auto& [id, scheme] : quantized.schemes()) {
    const Scheme expected = target.stored_as.empty() ? scheme : Scheme::parse(target.stored_as);
    if (!(found[id]->scheme == expected))
      fail(ErrorKind::kInternal, "export: {}: {} read back as {}, expected {}", path.string(), name_of(id),
           found[id]->scheme.name(), expected.name());
  }
}

}  // namespace

void export_model(const Target& target, const QuantizedModel& quantized, const TokenizerModel& tokenizer,
                  const std::filesystem::path& path, const ExportOptions& options, ProgressSink* progress) {
  if (progress != nullptr)
    for (const std::string& loss : target.losses(quantized.source(), tokenizer)) progress->warn(loss);
  target.write(quantized, tokenizer, path, options, progress);
  if (target.is_folder() || !is_stream(path)) check_written(target, quantized, path);
}

}  // namespace vernier
