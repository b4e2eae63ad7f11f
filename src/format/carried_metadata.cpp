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
                                      "tokenizer.ggml.add_space_prefix",
                                      "tokenizer.ggml.remove_extra_whitespaces",
                                      "tokenizer.ggml.suppress_tokens"};

// Families with a number or a name in the key, such as general.base_model.0.name.
constexpr std::string_view kFamilies[] = {"general.source.", "general.base_model.", "general.dataset.",
                                          "general.sampling."};

}  // namespace

std::vector<GgufKeyValue> carried_metadata(const GgufFile& file) {
  std::vector<GgufKeyValue> carried;
  for (const GgufKeyValue& entry : file.values()) {
    const auto begins = [&](std::string_view family) { return entry.key.starts_with(family); };
    if (std::find(std::begin(kKeys), std::end(kKeys), entry.key) != std::end(kKeys) ||
        std::any_of(std::begin(kFamilies), std::end(kFamilies), begins))
      carried.push_back(entry);
  }
  return carried;
}

}  // namespace vernier
