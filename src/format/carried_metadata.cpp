#include "format/carried_metadata.h"

#include <algorithm>

namespace vernier {

namespace {

constexpr std::string_view kKeys[] = {"general.name",
                                      "general.basename",
                                      "general.finetune",
                                      "general.version",
                                      "general.size_label",
                                      "general.description",
                                      "general.author",
                                      "general.organization",
                                      "general.license",
                                      "general.license.name",
                                      "general.license.link",
                                      "general.languages",
                                      "general.tags",
                                      "general.datasets",
                                      "general.url",
                                      "general.doi",
                                      "general.repo_url",
                                      "tokenizer.ggml.add_sep_token",
                                      "tokenizer.ggml.remove_extra_whitespaces",
                                      "tokenizer.ggml.suppress_tokens"};
// Of pieces TokenizerModel holds it, and the tokenizer is written with it.
constexpr std::string_view kOfBytePairs = "tokenizer.ggml.add_space_prefix";

// Families with a number or a name in the key, such as general.base_model.0.name.
constexpr std::string_view kFamilies[] = {"general.source.", "general.base_model.", "general.dataset.",
                                          "general.sampling."};

}  // namespace

std::vector<GgufKeyValue> carried_metadata(const GgufFile& file) {
  const GgufValue* tokenizer = file.find("tokenizer.ggml.model");
  const bool pieces = tokenizer != nullptr && *tokenizer == GgufValue(std::string("llama"));
  std::vector<GgufKeyValue> carried;
  for (const GgufKeyValue& entry : file.values()) {
    const auto begins = [&](std::string_view family) { return entry.key.starts_with(family); };
    if (std::find(std::begin(kKeys), std::end(kKeys), entry.key) != std::end(kKeys) ||
        (entry.key == kOfBytePairs && !pieces) || std::any_of(std::begin(kFamilies), std::end(kFamilies), begins))
      carried.push_back(entry);
  }
  return carried;
}

}  // namespace vernier
