#include "cli/same_ids.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/fail.h"
#include "cli/command.h"
#include "format/tokenizer_difference.h"

namespace vernier {

void require_same_ids(const char* stage, const Model& model, const Tokenizer& tokenizer, const Model& reference,
                      const std::vector<std::string>& texts, bool allowed, Console& console) {
  if (const ModelSource& source = reference.source();
      !source.gguf && !std::filesystem::exists(source.path / "tokenizer.json")) {
    console.progress.warn(
        fmt::format("{} has no tokenizer.json; its ids are taken to be those of {}", source.name, model.source().name));
    return;
  }
  const Tokenizer other(open_tokenizer(reference, console));
  const TokenizerComparison found =
      compare_tokenizers_on(tokenizer, other, std::vector<std::string_view>(texts.begin(), texts.end()));
  if (found.ids || tokenizer.adds_bos() != other.adds_bos()) {
    const std::string message =
        fmt::format("{} and {} read this text as other tokens, so that comparing their next tokens means nothing: {}",
                    model.source().name, reference.source().name, found.text());
    if (!allowed)
      fail(ErrorKind::kInvalidArgument,
           "{}: {}; choose a reference with the same tokenizer, or --different-tokenizers where you know better", stage,
           message);
    console.progress.warn(message);
  } else if (found.tokenizers) {
    console.progress.warn(fmt::format("the tokenizers of {} and {} read this text alike, but differ: {}",
                                      model.source().name, reference.source().name, found.tokenizers->text()));
  }
}

}  // namespace vernier
