#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "base/fail.h"
#include "format/carried_metadata.h"
#include "format/gguf_file.h"
#include "model/config.h"
#include "model/loaders.h"
#include "vernier/blueprint.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {

/// "gguf:q4_k" for ggml's "Q4_K".
std::string scheme_name(const GgmlType& type) {
  std::string name = "gguf:";
  for (const char c : type.name) name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

Scheme scheme_of(const GgufTensor& tensor, const TensorId& id) {
  const auto supported = readable_gguf_scheme_names();
  const std::string name = scheme_name(*tensor.type);
  if (tensor.type->id == kGgmlF32 || tensor.type->id == kGgmlF16 || tensor.type->id == kGgmlBf16)
    return Scheme::parse(name);  // of any shape
  if (std::find(supported.begin(), supported.end(), name) == supported.end() || !is_matrix(id.role))
    fail(ErrorKind::kUnsupported, "load: {}: type {} with {} dimensions; supported: matrices of {}", tensor.name,
         tensor.type->name, tensor.shape.size(), fmt::join(supported, ", "));
  return Scheme::parse(name);
}

/// A tensor that no part of the model reads would be left out of every answer: the wrong number, without a word.
void refuse_unknown_tensors(const GgufFile& file, const ModelConfig& config, std::set<std::string> known) {
  known.insert("rope_freqs.weight");  // read with the configuration
  for (const GgufTensor& tensor : file.tensors())
    if (!known.contains(tensor.name))
      fail(ErrorKind::kUnsupported,
           "load: {}: tensor {} is not part of a {} model as this program knows it; leaving it out "
           "would make every number wrong",
           file.path().string(), tensor.name, config.family);
}

/// ggml counts no dimension beyond the last that is not 1: llama-quantize writes a matrix of one row as a vector.
std::span<const int64_t> without_leading_ones(std::span<const int64_t> shape) {
  while (shape.size() > 1 && shape.front() == 1) shape = shape.subspan(1);
  return shape;
}

TensorOutline outline_of(const TensorSpec& spec, const GgufTensor& stored) {
  const Scheme scheme = scheme_of(stored, spec.id);
  return {
      spec.id, spec.shape,        scheme, part_of(spec, spec.gguf, scheme, stored.data), spec.gguf.interleaved_heads,
      0,       spec.gguf.less_one};
}

}  // namespace

ModelOutline outline_gguf(const std::filesystem::path& path) {
  const auto file = std::make_shared<const GgufFile>(path);
  ModelOutline outline;
  outline.config = read_gguf_config(*file);
  outline.source.path = file->path();
  outline.source.name = file->path().filename().string();
  outline.source.gguf = true;
  outline.source.origin = std::make_shared<const std::vector<GgufKeyValue>>(carried_metadata(*file));
  outline.mapping = file;
  outline.release_pages = [file] { file->release_pages(); };
  std::set<std::string> known;
  const Blueprint blueprint(outline.config);
  for (const TensorSpec& spec : blueprint.tensors()) {
    const std::string& name = spec.gguf.name;
    const GgufTensor* tensor = file->find_tensor(name);
    if (tensor == nullptr)
      fail(ErrorKind::kBadFile, "load: {}: tensor {} is missing; fetch or convert the file again", path.string(), name);
    if (const auto own = without_leading_ones(tensor->shape), expected = without_leading_ones(spec.gguf.shape);
        !std::equal(own.begin(), own.end(), expected.begin(), expected.end()))
      fail(ErrorKind::kBadFile, "load: {}: {}: expected [{}], got [{}]", path.string(), name,
           fmt::join(spec.gguf.shape, ", "), fmt::join(tensor->shape, ", "));
    outline.tensors.push_back(outline_of(spec, *tensor));
    known.insert(name);
  }
  refuse_unknown_tensors(*file, outline.config, std::move(known));
  return outline;
}

}  // namespace vernier
