#include "vernier/activations.h"

#include "cli/activations_table.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/subcommands.h"
#include "data/named_texts.h"
#include "report/activations_data.h"
#include "vernier/report.h"

namespace vernier {

void add_activations(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, output, report;
    CalibrationTextArgument calibration;
    std::vector<std::string> data, grids{"int8:token", "int8:tensor", "int4:token"}, caches{"q8_0", "q4_0"};
    int64_t context = 512, windows = 16, calibration_windows = 16;
    ActivationStudyOptions options;
    ComputeArguments compute;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command = app.add_subcommand(
      "activations", "What flows through a model, its outliers, and what rounding it and the attention cache costs");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  a->calibration.add(*command, a->io,
                     "Text that magnitudes and static ranges come from (files are joined); a built-in one when none is "
                     "named");
  add_input(*command, a->io, "--data", a->data,
            "Text that errors and KL are measured on (files are joined), a built-in one when none is named");
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
             "Windows on which errors are followed through the layers")
      ->check(within(1, int64_t{1} << 20))
      ->capture_default_str();
  add_output(*command, a->io, "-o,--output", a->output,
             "Write activations.json, which `vernier report` makes a page of");
  add_output(*command, a->io, "--report", a->report, "Write that page");
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    a->calibration.check();
    const std::vector<std::string> none{"none"};
    for (const std::string& grid : a->grids)
      if (a->grids != none) a->options.grids.push_back(ActivationGrid::parse(grid));
    for (const std::string& format : a->caches)
      if (a->caches != none) a->options.caches.push_back(CacheFormat::parse(format));
    a->options.compute = a->compute.options(console);
    const Model model = open_model(a->model, console);
    const Tokenizer tokenizer(open_tokenizer(model, console));
    const EvaluationData calibration =
        diagnosis_windows(calibration_text(tokenizer, a->calibration.files, &console.progress), a->context,
                          a->calibration_windows, &console.progress);
    const EvaluationData data =
        evaluation_windows(tokenizer, a->data, {.context = a->context, .max_windows = a->windows}, &console.progress);
    warn_beyond_context(model, data, console);
    const ActivationStudy study = study_activations(model, calibration, data, a->options, &console.progress);
    const Json json = activation_study_to_json(study);
    if (!a->output.empty()) write_json(a->output, json);
    if (!a->report.empty()) write_report(a->report, activations_page(json));
    if (!a->json.write(json, console)) print_activations(study, console);
  });
}

}  // namespace vernier
