#include "vernier/export.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/plan_argument.h"
#include "cli/plan_table.h"
#include "cli/subcommands.h"
#include "plan/target.h"
#include "vernier/planning.h"

namespace vernier {

void add_export(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, output = "model.gguf", target = "llama.cpp";
    CalibrationArgument calibration;
    PlanArgument plan;
    ExportOptions options;
    ThreadsArgument threads;
    JsonArgument json;
    CommandFiles io;
    bool dry_run = false;
  };
  auto* command = app.add_subcommand("export", "Write a file that an engine loads");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  a->plan.add(*command, a->io);
  a->calibration.add(*command, a->io);
  command->add_option("--target", a->target, "Engine")->capture_default_str();
  add_export_options(*command, a->options);
  command->add_flag("--dry-run", a->dry_run, "Only print the plan and the size");
  add_output(*command, a->io, "-o,--output", a->output, "File to write")->capture_default_str();
  a->threads.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    target_rules(a->target);  // says what is not supported yet
    const int threads = a->threads.configure(console);
    const Model model = open_model(a->model, console);
    const TokenizerModel tokenizer = open_tokenizer(model, console);
    const Plan plan = a->plan.load(model);
    const uint64_t bytes = gguf_file_bytes(model, plan, tokenizer, a->options);
    const double bits = bits_per_weight(bytes, model);
    Json json = {{"output", a->output},
                 {"plan", plan.label},
                 {"bytes", bytes},
                 {"bits_per_weight", bits},
                 {"fallbacks", fallback_lines(plan)}};
    if (a->dry_run) {
      json["tensors"] = plan_to_json(plan)["tensors"];
      if (a->json.write(json, console)) return;
      print_plan(plan, console);
      fmt::print(console.out, "\n{} bytes, {:.3f} bits per weight\n", bytes, bits);
      return;
    }
    if (a->calibration.path.empty())
      fail(ErrorKind::kInvalidArgument, "export: give --calibration, the artefact of `vernier calibrate`");
    export_gguf(quantize(model, a->calibration.load(), plan, threads, &console.progress), tokenizer, a->output,
                a->options, &console.progress);
    if (a->json.write(json, console)) return;
    print_fallbacks(plan, console);
    fmt::print(console.out, "{}: {} bytes, {:.3f} bits per weight\n", a->output, bytes, bits);
  });
}

}  // namespace vernier
