#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/input_tensors.h"
#include "cli/subcommands.h"
#include "engine/aten_answers.h"
#include "format/safetensors_file.h"
#include "format/safetensors_writer.h"

namespace vernier {

namespace {

struct NamedOutput {
  std::string name;
  at::Tensor values;  // contiguous float32
};

/// What the model says about the inputs in a file.
std::vector<NamedOutput> outputs_of(const Model& model, const SafetensorsFile& file, const AtenModel::Place& place) {
  std::vector<NamedOutput> outputs;
  const auto add = [&](const char* name, const at::Tensor& values) {
    outputs.push_back({name, values.to(at::kFloat).contiguous()});
  };
  if (!model.config().stacks.empty()) {
    const ImageTextAnswers answers = compare_images_with_texts(model, pixel_values_of(file), input_ids_of(file), place);
    add("logits_per_image", answers.logits_per_image);
    add("image_embeds", answers.image_embeds);
    add("text_embeds", answers.text_embeds);
  } else if (model.config().reads_images()) {
    add("logits", classify(model, pixel_values_of(file), place));
  } else {
    add("logits", forward_logits(model, input_ids_of(file), 0, place));
  }
  return outputs;
}

}  // namespace

void add_logits(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, input, output;
    ComputeArguments compute;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command = app.add_subcommand("logits", "Raw outputs for given token ids or pixel values");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  add_input(
      *command, a->io, "--input", a->input,
      "safetensors with input_ids [batch, time] (I64 or I32), or for a model that sees pixel_values [batch, channels, "
      "height, width] (F32)")
      ->required();
  add_output(*command, a->io, "-o,--output", a->output,
             "safetensors, F32, with logits [batch, time, vocabulary] or [batch, classes]; of CLIP logits_per_image, "
             "image_embeds and text_embeds")
      ->required();
  a->compute.add_on_cpu(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    const bool bf16 = a->compute.options(console).type == ComputeType::kBFloat16;
    const Model model = open_model(a->model, console);
    const c10::NoGradGuard no_grad;
    const AtenModel::Place place{at::kCPU, bf16 ? at::kBFloat16 : at::kFloat, /*layer_by_layer=*/true};
    const std::vector<NamedOutput> outputs = outputs_of(model, SafetensorsFile(a->input), place);
    SafetensorsWriter writer;
    for (const NamedOutput& output : outputs) writer.add(output.name, DType::kF32, output.values.sizes().vec());
    writer.write(a->output, [&](size_t index, const ByteSink& append) {
      const at::Tensor& values = outputs[index].values;
      append({static_cast<const std::byte*>(values.data_ptr()), values.nbytes()});
    });
    Json json = {{"output", a->output}, {"shape", outputs[0].values.sizes().vec()}};
    for (const NamedOutput& output : outputs) json["tensors"][output.name] = output.values.sizes().vec();
    if (a->json.write(json, console)) return;
    for (const NamedOutput& output : outputs)
      fmt::print(console.out, "{} [{}] in {}\n", output.name, fmt::join(output.values.sizes().vec(), ", "), a->output);
  });
}

}  // namespace vernier
