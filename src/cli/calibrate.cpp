#include "vernier/calibrate.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/given_options.h"
#include "cli/image_arguments.h"
#include "cli/input_tensors.h"
#include "cli/subcommands.h"
#include "data/named_texts.h"

namespace vernier {

void add_calibrate(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, images, output = "calibration.safetensors";
    ImageArguments labelled;
    CalibrationTextArgument text;
    int64_t context = 512, windows = 0;
    ComputeArguments compute;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command = app.add_subcommand("calibrate", "Measure what the linear layers are fed");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  a->text.add(*command, a->io, "Text files, joined; a built-in text when none is named");
  a->io.reads(a->images);
  add_option(
      *command, "--images", a->images,
      "For a model that sees, in place of text: a manifest (CSV: path, label), a folder of classes, or safetensors "
      "with pixel_values [batch, channels, height, width] (F32), and for CLIP input_ids")
      ->check(CLI::ExistingPath);
  a->labelled.add(*command, a->io);
  add_option(*command, "--context", a->context, "Tokens per window")->check(context_range())->capture_default_str();
  add_option(*command, "--windows", a->windows,
             "Use N windows, evenly spaced over the text, or N images, evenly over the classes; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_output(*command, a->io, "-o,--output", a->output, "Artefact to write")->capture_default_str();
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, command, &console] {
    a->io.check();
    a->text.check();
    if (!a->images.empty() && !a->text.files.empty())
      fail(ErrorKind::kInvalidArgument, "give texts or --images, not both");
    const ComputeOptions compute = a->compute.options(console);
    const Model model = open_model(a->model, console);
    if (a->images.empty() && !model.config().is_language_model())
      fail(ErrorKind::kInvalidArgument,
           "calibrate: {} ({}) sees images; name some with --images: a manifest, a folder of classes or safetensors",
           model.source().name, model.config().family);
    if (!a->images.empty()) require_texts({a->images}, model, "calibrate");
    if (model.config().is_language_model())
      refuse_image_options("calibrate", *command, model.source().name);
    else
      refuse_text_options("calibrate", *command, {"--context"}, model.source().name);
    if (!a->images.empty() && is_safetensors(a->images))
      refuse_given("calibrate", *command, {"--classes", "--prompts", "--windows"},
                   fmt::format("of images; {} holds tensors, which are taken as they are", a->images));
    const auto on_images = [&] {
      const VisionInputs inputs = is_safetensors(a->images)
                                      ? vision_inputs(a->images, model)
                                      : a->labelled.data(a->images, a->windows, model, console).inputs;
      return calibrate_vision(model, inputs, compute, &console.progress);
    };
    const auto on_text = [&] {
      require_texts(a->text.files, model, "calibrate");
      const Tokenizer tokenizer(open_tokenizer(model, console));
      const EvaluationData data = calibration_windows(calibration_text(tokenizer, a->text.files, &console.progress),
                                                      a->context, a->windows, &console.progress);
      return calibrate(model, data, compute, &console.progress);
    };
    const Calibration calibration = a->images.empty() ? on_text() : on_images();
    save_calibration(calibration, a->output);
    const Json json = {{"tokens", calibration.tokens},
                       {"windows", calibration.windows},
                       {"data", calibration.data_name},
                       {"data_hash", calibration.data_hash},
                       {"model_hash", calibration.model_hash},
                       {"sites", calibration.sites.size()},
                       {"output", a->output}};
    if (a->json.write(json, console)) return;
    fmt::print(console.out, "{} {} of {} at {} sites -> {}\n", calibration.tokens,
               a->images.empty() ? "tokens" : "patches and tokens", calibration.data_name, calibration.sites.size(),
               a->output);
  });
}

}  // namespace vernier
