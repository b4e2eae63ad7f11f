#include "run/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace vernier {

std::string source_label(const Model& model) {
  std::map<std::string, uint64_t> bytes;
  bool quantized = false;
  for (const TensorId& id : model.matrices()) {
    const std::vector<int64_t> shape = model.shape(id);
    const Scheme scheme = model.scheme_in_file(id);
    bytes[scheme.name()] += scheme.bytes(shape[0], shape[1]);
    quantized |= model.stored(id) != nullptr;
  }
  if (!quantized) return "full precision";
  // By what most bytes are in, as far as nine tenths of them: one type of a file may be that of a large vocabulary alone.
  std::vector<std::pair<uint64_t, std::string>> types;
  uint64_t rest = 0;
  for (const auto& [scheme, size] : bytes) {
    types.emplace_back(size, scheme.substr(scheme.rfind(':') + 1));
    rest += size;
  }
  std::ranges::sort(types, std::greater());
  const uint64_t all = rest;
  std::string name;
  for (const auto& [size, type] : types) {
    if (10 * rest <= all) break;
    name += (name.empty() ? "" : ", ") + type;
    rest -= size;
  }
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return fmt::format("source ({})", name);
}

uint64_t source_bytes(const Model& model) {
  if (!model.source().gguf) return model.stored_bytes();
  uint64_t bytes = 0;
  for (const std::filesystem::path& file : files_of_model(model.source().path.string()))
    bytes += std::filesystem::file_size(file);
  return bytes;
}

bool source_fits(const Model& model, const Target& target, uint64_t budget_bytes) {
  return target.takes_source(model.source()) && source_bytes(model) <= budget_bytes;
}

void warn_of_source(const Model& model, const Target& target, uint64_t budget_bytes, ProgressSink& progress) {
  const std::string label = source_label(model);
  if (label != "full precision")
    progress.warn(fmt::format(
        "{} is quantized already: damage is measured against this {}, not against the model that it was made from, and "
        "what was lost then cannot come back; start from the original in full precision where you have it",
        model.source().name, label));
  if (source_fits(model, target, budget_bytes))
    progress.warn(fmt::format(
        "the source itself has {} bytes and fits the budget of {}: no file made from it can be better, so it is what "
        "{} will hold",
        source_bytes(model), budget_bytes, target.output));
}

}  // namespace vernier
