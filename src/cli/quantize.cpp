#include "vernier/quantize.h"

#include <fmt/format.h>

#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/plan_argument.h"
#include "cli/plan_table.h"
#include "cli/subcommands.h"
#include "vernier/export.h"

namespace vernier {

void add_quantize(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, output;
    CalibrationArgument calibration;
    PlanArgument plan;
    ThreadsArgument threads;
    JsonArgument json;
    CommandFiles io;
    bool dry_run = false;
  };
  auto* command = app.add_subcommand(
      "quantize",
      "Quantize by a plan and write the resulting values as a model directory: export --target huggingface");
  auto a = std::make_shared<Arguments>();
  const Target& target = find_target("huggingface");
  add_option(*command, "MODEL", a->model, "Hugging Face directory")->required();
  a->io.reads_model(a->model);
  a->plan.add(*command, a->io);
  a->calibration.add(*command, a->io);
  add_flag(*command, "--dry-run", a->dry_run, "Only print the plan");
  add_option(*command, "-o,--output", a->output, "Folder to write")->check(named())->required();
  a->io.writes_folder("--output", a->output, target.files);
  a->threads.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &target, &console] {
    a->io.check();
    const int threads = a->threads.configure(console);
    const Model model = open_model(a->model, console);
    const Plan plan = a->plan.load(model, target.name, console);
    target.file_bytes(model, plan, {}, {});  // says what cannot be written before anything is computed
    if (a->dry_run) {
      if (!a->json.write(plan_to_json(plan), console)) print_plan(plan, console);
      return;
    }
    print_fallbacks(plan, console);
    export_model(target, quantize(model, calibration_for(plan, a->calibration), plan, threads), {}, a->output, {},
                 &console.progress);
    if (a->json.write({{"output", a->output},
                       {"plan", plan.label},
                       {"bytes", plan.tensor_bytes},
                       {"fallbacks", fallback_lines(plan)}},
                      console))
      return;
    fmt::print(console.out, "{}: {} bytes of matrices in their schemes, written as float32 values\n", a->output,
               plan.tensor_bytes);
  });
}

}  // namespace vernier
