#include "vernier/activations.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "cli/activations_table.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/given_options.h"
#include "cli/image_arguments.h"
#include "cli/subcommands.h"
#include "data/image_subset.h"
#include "data/named_texts.h"
#include "report/activations_data.h"
#include "vernier/classify.h"
#include "vernier/report.h"

namespace vernier {

namespace {

struct ActivationArguments {
  std::string model, output, report, tower = "image", calibration_images;
  CalibrationTextArgument calibration;
  ImageArguments labelled;
  std::vector<std::string> data, grids{"int8:token", "int8:tensor", "int4:token"}, caches{"q8_0", "q4_0"};
  int64_t context = 512, windows = 16, calibration_windows = 16, images = 256;
  ActivationStudyOptions options;
  ComputeArguments compute;
  JsonArgument json;
  CommandFiles io;
};

ActivationStudy study_text(const ActivationArguments& a, const Model& model, Console& console) {
  require_texts(a.data, model, "activations");
  const Tokenizer tokenizer(open_tokenizer(model, console));
  const EvaluationData calibration =
      diagnosis_windows(calibration_text(tokenizer, a.calibration.files, &console.progress), a.context,
                        a.calibration_windows, &console.progress);
  const EvaluationData data =
      evaluation_windows(tokenizer, a.data, {.context = a.context, .max_windows = a.windows}, &console.progress);
  warn_beyond_context(model, data, console);
  return study_activations(model, calibration, data, a.options, &console.progress);
}

/// Images that magnitudes and ranges come from, and those that errors are measured on.
std::pair<LabelledImages, LabelledImages> images_of(const ActivationArguments& a, const Model& model,
                                                    Console& console) {
  const LabelledImages data = a.labelled.read(image_set_of(a.data, model, "activations"), model, console);
  if (a.options.tower == Stack::kText) {
    console.progress.warn(
        "magnitudes, ranges and errors are of the same prompts: what ranges clip of others does not show");
    return {data, data};
  }
  if (!a.calibration_images.empty()) {
    ImageArguments of_same_classes = a.labelled;
    of_same_classes.classes = data.classes;
    return {of_same_classes.read(a.calibration_images, model, console), data};
  }
  const auto half = static_cast<int64_t>(data.images.size()) / 2;
  if (half < 1)
    fail(ErrorKind::kInvalidArgument,
         "activations: {} images in {}: expected at least two, or --calibration-images for ranges", data.images.size(),
         data.name);
  auto split = split_images(data, a.images > 0 ? std::min(half, a.images) : half);
  console.progress.warn(
      fmt::format("magnitudes and ranges are of {} images that errors are not measured on; "
                  "--calibration-images names others",
                  split.first.images.size()));
  return split;
}

ActivationStudy study_images(ActivationArguments& a, const Model& model, Console& console) {
  if (a.tower != "image" && a.tower != "text")
    fail(ErrorKind::kInvalidArgument, "activations: --tower {}: expected image or text", a.tower);
  a.options.tower = a.tower == "text" ? Stack::kText : Stack::kImage;
  a.options.caches = {};
  const auto [calibration, data] = images_of(a, model, console);
  const PromptTemplates prompts = prompt_templates(a.labelled.prompts);
  return study_activations(model, answer_data(model, spread_images(calibration, a.images), prompts),
                           answer_data(model, spread_images(data, a.images), prompts), a.options, &console.progress);
}

}  // namespace

void add_activations(CLI::App& app, Console& console) {
  auto* command = app.add_subcommand(
      "activations", "What flows through a model, its outliers, and what rounding it and the attention cache costs");
  auto a = std::make_shared<ActivationArguments>();
  add_model(*command, a->io, a->model);
  a->calibration.add(*command, a->io,
                     "Text that magnitudes and static ranges come from (files are joined); a built-in one when none is "
                     "named");
  add_input(
      *command, a->io, "--data", a->data,
      "Text that errors and KL are measured on (files are joined), a built-in one when none is named. For a model "
      "that sees a manifest (CSV: path, label) or a folder of classes");
  a->labelled.add(*command, a->io);
  add_option(*command, "--tower", a->tower, "Of CLIP, which of its two: image, or text, which is shown the prompts")
      ->capture_default_str();
  add_input(*command, a->io, "--calibration-images", a->calibration_images,
            "Images that magnitudes and static ranges come from; other ones of --data when none are named");
  add_option(*command, "--images", a->images, "Use N images of each, evenly over their classes; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--grids", a->grids,
             "What inputs of matrices are rounded to, each at every site alone and everywhere: int8:token, "
             "int8:tensor, int8:tensor:percentile (:mse, :entropy, :dynamic), int8:channel ...; none: no grid")
      ->delimiter(',')
      ->capture_default_str();
  add_option(*command, "--caches", a->caches,
             "Formats of keys and values, apart and together: q8_0, q4_0, int8, int4, int3, fp8; none: no format")
      ->delimiter(',')
      ->capture_default_str();
  add_option(*command, "--context", a->context, "Tokens per window")->check(context_range())->capture_default_str();
  add_option(*command, "--windows", a->windows, "Use the first N windows of --data; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--calibration-windows", a->calibration_windows,
             "Use N windows of --calibration-text, evenly spaced; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--growth-windows", a->options.growth_windows,
             "Windows or images on which errors are followed through the layers")
      ->check(within(1, int64_t{1} << 20))
      ->capture_default_str();
  add_output(*command, a->io, "-o,--output", a->output,
             "Write activations.json, which `vernier report` makes a page of");
  add_output(*command, a->io, "--report", a->report, "Write that page");
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, command, &console] {
    a->io.check();
    a->calibration.check();
    const std::vector<std::string> none{"none"};
    for (const std::string& grid : a->grids)
      if (a->grids != none) a->options.grids.push_back(ActivationGrid::parse(grid));
    for (const std::string& format : a->caches)
      if (a->caches != none) a->options.caches.push_back(CacheFormat::parse(format));
    a->options.compute = a->compute.options(console);
    const Model model = open_model(a->model, console);
    const bool reads = model.config().is_language_model();
    if (reads)
      refuse_given("activations", *command, {"--images", "--classes", "--prompts", "--tower", "--calibration-images"},
                   fmt::format("of models that see; {} reads", model.source().name));
    else
      refuse_text_options("activations", *command,
                          {"--context", "--windows", "--calibration-windows", "--calibration-text", "--caches"},
                          model.source().name);
    if (model.config().stacks.empty())
      refuse_given("activations", *command, {"--tower"}, fmt::format("of CLIP; {} has one", model.source().name));
    const ActivationStudy study = reads ? study_text(*a, model, console) : study_images(*a, model, console);
    const Json json = activation_study_to_json(study);
    if (!a->output.empty()) write_json(a->output, json);
    if (!a->report.empty()) write_report(a->report, activations_page(json));
    if (!a->json.write(json, console)) print_activations(study, console);
  });
}

}  // namespace vernier
