#include "vernier/export.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/fail.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/plan_argument.h"
#include "cli/plan_table.h"
#include "cli/subcommands.h"
#include "vernier/planning.h"

namespace vernier {

namespace {

/// Whom it was made for; what cannot be read is told once it is known that nothing is overwritten.
std::string target_of_plan(const std::string& path, const std::string& otherwise) {
  try {
    return plan_from_json(read_artefact(path, "plan"), path).target;
  } catch (const Error&) {
    return otherwise;
  }
}

}  // namespace

void add_export(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, output, target = "llama.cpp";
    CalibrationArgument calibration;
    PlanArgument plan;
    ExportOptions options;
    ThreadsArgument threads;
    JsonArgument json;
    CommandFiles io;
    CLI::Option* target_option = nullptr;
    bool dry_run = false;
  };
  auto* command = app.add_subcommand("export", "Write what an engine loads");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  a->plan.add(*command, a->io);
  a->calibration.add(*command, a->io);
  a->target_option = add_target(*command, a->target);
  add_export_options(*command, a->options);
  add_flag(*command, "--dry-run", a->dry_run, "Only print the plan and the size");
  std::string defaults;
  for (const Target& row : targets())
    defaults += fmt::format("{}{} for {}", defaults.empty() ? "" : ", ", row.output, row.name);
  add_option(*command, "-o,--output", a->output, "File or folder to write; by default " + defaults)->check(named());
  a->threads.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    if (!a->plan.plan.empty() && a->target_option->count() == 0) a->target = target_of_plan(a->plan.plan, a->target);
    const Target& target = find_target(a->target);
    if (a->output.empty()) a->output = target.output;
    if (std::filesystem::path(a->output).extension() == ".safetensors")
      fail(ErrorKind::kInvalidArgument, "export: -o {}: --target {} writes {}; give it another name", a->output,
           target.name, target.about);
    if (target.is_folder())
      a->io.writes_folder("--output", a->output, target.files);
    else
      a->io.writes("--output", a->output);
    a->io.check();
    const int threads = a->threads.configure(console);
    const Model model = open_model(a->model, console);
    const TokenizerModel tokenizer = open_tokenizer_for(target, model, console);
    const Plan plan = a->plan.load(model, target.name, console);
    const uint64_t bytes = target.file_bytes(model, plan, tokenizer, a->options);
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
    export_model(target, quantize(model, calibration_for(plan, a->calibration), plan, threads), tokenizer, a->output,
                 a->options, &console.progress);
    if (a->json.write(json, console)) return;
    print_fallbacks(plan, console);
    fmt::print(console.out, "{}: {} bytes, {:.3f} bits per weight\n", a->output, bytes, bits);
  });
}

}  // namespace vernier
