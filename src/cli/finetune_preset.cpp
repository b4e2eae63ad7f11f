#include "cli/finetune_preset.h"

#include <fmt/format.h>

#include <algorithm>

namespace vernier {

const std::vector<FinetunePreset>& finetune_presets() {
  static const std::vector<FinetunePreset> rows = {
      {.name = "images",
       .about = "for classifiers",
       .options = {{"--loss", "distillation-fisher"},
                   {"--feature-weight", "512"},
                   {"--patch-dropout", "0.75"},
                   {"--patches", "0.5"},
                   {"--shift", "4"},
                   {"--mirror", "true"},
                   {"--sampling", "balanced"},
                   {"--batch", "128"},
                   {"--level-rate", "0.014"},
                   {"--scale-rate", "0.15"},
                   {"--dampening", "0.3"},
                   {"--average", "0.99"},
                   {"--refit-steps", "0"},
                   {"--validation-examples", "900"},
                   {"--objective", "mean-kl"},
                   {"--evaluate-steps", "1200"},
                   {"--steps", "2400"}}},
  };
  return rows;
}

void follow_preset(CLI::App& command, const std::string& name) {
  const auto& rows = finetune_presets();
  const auto row = std::ranges::find(rows, name, &FinetunePreset::name);
  for (const auto& [option, value] : row->options) {
    CLI::Option* given = command.get_option(option);
    if (given->count() > 0) continue;
    given->add_result(value);
    given->run_callback();
  }
}

std::string presets_help() {
  std::string help;
  for (const FinetunePreset& row : finetune_presets()) {
    std::string words;
    for (const auto& [option, value] : row.options) words += " " + option + (value == "true" ? "" : " " + value);
    help += fmt::format("{}{}: {} ({})", help.empty() ? "" : "; ", row.name, row.about, words.substr(1));
  }
  return help;
}

}  // namespace vernier
