#include "vernier/quantize.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "cli/command.h"
#include "cli/plan_argument.h"
#include "cli/plan_table.h"

namespace vernier {

void add_quantize(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, calibration, output;
    PlanArgument plan;
    ComputeArguments compute;
    bool dry_run = false;
  };
  auto* command = app.add_subcommand("quantize", "Quantize by a plan and write the resulting values as a model directory");
  auto a = std::make_shared<Arguments>();
  command->add_option("MODEL", a->model, "Hugging Face directory")->required();
  a->plan.add(*command);
  command->add_option("--calibration", a->calibration, "Artefact of `vernier calibrate`")->required()->check(CLI::ExistingFile);
  command->add_flag("--dry-run", a->dry_run, "Only print the plan");
  command->add_option("-o,--output", a->output, "Folder to write")->required();
  a->compute.add(*command);
  command->callback([a, &console] {
    const int threads = resolve_threads(a->compute.options());
    const Model model = load_model(a->model);
    if (model.source().gguf)
      fail(ErrorKind::kInvalidArgument, "quantize: {} is a GGUF file; start from the Hugging Face directory", a->model);
    const Plan plan = a->plan.load(model);
    if (a->dry_run) {
      fmt::print(console.out, "{}", plan_table(plan));
      return;
    }
    save_dequantized(quantize(model, load_calibration(a->calibration), plan, threads, &console.progress), a->output);
    fmt::print(console.out, "{}: {} bytes of matrices in their schemes, written as float32 values\n", a->output,
               plan.tensor_bytes);
  });
}

}  // namespace vernier
