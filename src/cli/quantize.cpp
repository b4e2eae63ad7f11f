#include "vernier/quantize.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/fail.h"
#include "cli/command.h"
#include "cli/plan_argument.h"
#include "cli/plan_table.h"

namespace vernier {

void add_quantize(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, calibration, output;
    PlanArgument plan;
    ThreadsArgument threads;
    JsonArgument json;
    bool dry_run = false;
  };
  auto* command =
      app.add_subcommand("quantize", "Quantize by a plan and write the resulting values as a model directory");
  auto a = std::make_shared<Arguments>();
  command->add_option("MODEL", a->model, "Hugging Face directory")->required();
  a->plan.add(*command);
  command->add_option("--calibration", a->calibration, "Artefact of `vernier calibrate`")
      ->required()
      ->check(CLI::ExistingFile);
  command->add_flag("--dry-run", a->dry_run, "Only print the plan");
  command->add_option("-o,--output", a->output, "Folder to write")->required();
  a->threads.add(*command);
  a->json.add(*command);
  command->callback([a, &console] {
    const int threads = a->threads.configure();
    const Model model = load_model(a->model);
    if (model.source().gguf)
      fail(ErrorKind::kInvalidArgument, "quantize: {} is a GGUF file; start from the Hugging Face directory", a->model);
    if (std::error_code code; std::filesystem::equivalent(model.source().path, a->output, code))
      fail(ErrorKind::kInvalidArgument, "quantize: --output {} is the model itself; name another folder", a->output);
    const Plan plan = a->plan.load(model);
    if (a->dry_run) {
      fmt::print(console.out, "{}", plan_table(plan));
      return;
    }
    save_dequantized(quantize(model, load_calibration(a->calibration), plan, threads, &console.progress), a->output);
    if (a->json.write({{"output", a->output}, {"plan", plan.label}, {"bytes", plan.tensor_bytes}}, console)) return;
    fmt::print(console.out, "{}: {} bytes of matrices in their schemes, written as float32 values\n", a->output,
               plan.tensor_bytes);
  });
}

}  // namespace vernier
