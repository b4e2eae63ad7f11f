#include "cli/finetune_preset.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/fail.h"
#include "cli/given_options.h"

namespace vernier {

namespace {

bool is_image_classifier(const Model& model) {
  return model.config().reads_images() && model.config().read_out.classes > 0;
}

bool is_language_model(const Model& model) { return model.config().is_language_model(); }

const FinetunePreset& find_preset(const std::string& name) {
  const auto& rows = finetune_presets();
  const auto row = std::ranges::find(rows, name, &FinetunePreset::name);
  if (row == rows.end()) fail(ErrorKind::kInvalidArgument, "finetune: \"{}\" is no preset", name);
  return *row;
}

}  // namespace

const std::vector<FinetunePreset>& finetune_presets() {
  static const std::vector<FinetunePreset> rows = {
      {.name = "images",
       .about = "for classifiers of images",
       .takes = is_image_classifier,
       .options = {{"--loss", "distillation-fisher"},
                   {"--feature-weight", "512"},
                   {"--patch-dropout", "0.75"},
                   {"--cutmix", "0.5"},
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
                   {"--steps", "2400"}},
       .others = {"--learning-rate", "--learn-scales", "--singular-band", "--weight-decay"}},
      {.name = "text",
       .about = "for language models, on a GPU",
       .takes = is_language_model,
       .options = {{"--loss", "distillation-fisher"},
                   {"--feature-weight", "4"},
                   {"--final-feature-weight", "0"},
                   {"--resample", "0.3"},
                   {"--sampling", "balanced"},
                   {"--batch", "64"},
                   {"--level-rate", "0.008"},
                   {"--scale-rate", "1"},
                   {"--dampening", "0.3"},
                   {"--warm-up", "100"},
                   {"--decay", "exponential"},
                   {"--final-rate", "0.1"},
                   {"--average", "0.999"},
                   {"--refit-steps", "0"},
                   {"--recode-steps", "5"},
                   {"--evaluate-steps", "2000"},
                   {"--steps", "10000"}},
       .others = {"--learning-rate", "--learn-scales", "--singular-band", "--weight-decay", "--keep-answers"}},
  };
  return rows;
}

void follow_preset(CLI::App& command, const std::string& name) {
  const FinetunePreset& preset = find_preset(name);
  const std::string why = fmt::format("not for --preset {}, which learns by --level-rate and --scale-rate", name);
  refuse_given("finetune", command, preset.others, why);
  for (const auto& [option, value] : preset.options) {
    CLI::Option* given = command.get_option(option);
    if (given->count() > 0) continue;
    given->add_result(value);
    given->run_callback();
  }
}

void check_preset(const std::string& name, const Model& model) {
  if (const FinetunePreset& preset = find_preset(name); !preset.takes(model))
    fail(ErrorKind::kInvalidArgument, "finetune: --preset {} is {}; {} ({}) is none", name, preset.about,
         model.source().name, model.config().family);
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
