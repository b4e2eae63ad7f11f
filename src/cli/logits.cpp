#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "base/fail.h"
#include "cli/command.h"
#include "cli/subcommands.h"
#include "engine/aten_model.h"
#include "format/safetensors_file.h"
#include "format/safetensors_writer.h"

namespace vernier {

void add_logits(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, input, output;
    ComputeArguments compute;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command = app.add_subcommand("logits", "Raw outputs for given token ids");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  add_input(*command, a->io, "--input", a->input, "safetensors with input_ids [batch, time] (I64 or I32)")->required();
  add_output(*command, a->io, "-o,--output", a->output, "safetensors with logits [batch, time, vocabulary], F32")
      ->required();
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    const bool bf16 = a->compute.options(console).type == ComputeType::kBFloat16;
    const Model model = open_model(a->model, console);
    const SafetensorsFile file(a->input);
    const SafetensorsEntry& entry = file.read("input_ids");
    if (entry.shape.size() != 2 || (entry.dtype != DType::kI64 && entry.dtype != DType::kI32))
      fail(ErrorKind::kBadFile, "logits: {}: input_ids: expected I64 or I32 [batch, time], got {} with {} dimensions",
           a->input, entry.dtype_name, entry.shape.size());
    at::Tensor ids = at::empty(entry.shape, entry.dtype == DType::kI64 ? at::kLong : at::kInt);
    std::memcpy(ids.data_ptr(), entry.data.data(), entry.data.size());

    const c10::NoGradGuard no_grad;
    const AtenModel::Place place{at::kCPU, bf16 ? at::kBFloat16 : at::kFloat, /*layer_by_layer=*/true};
    const at::Tensor logits = forward_logits(model, ids.to(at::kLong), 0, place).to(at::kFloat).contiguous();
    SafetensorsWriter writer;
    writer.add("logits", DType::kF32, logits.sizes().vec());
    writer.write(a->output, [&](size_t, const ByteSink& append) {
      append({static_cast<const std::byte*>(logits.data_ptr()), logits.nbytes()});
    });
    if (a->json.write({{"output", a->output}, {"shape", logits.sizes().vec()}}, console)) return;
    fmt::print(console.out, "logits [{}] in {}\n", fmt::join(logits.sizes().vec(), ", "), a->output);
  });
}

}  // namespace vernier
