#include "vernier/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text_table.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/given_options.h"
#include "cli/image_arguments.h"
#include "cli/plan_argument.h"
#include "cli/plan_table.h"
#include "cli/subcommands.h"
#include "vernier/plan.h"
#include "vernier/target.h"

namespace vernier {

namespace {

struct Arguments {
  const CLI::App* command = nullptr;
  std::string model, output = "out", effort = std::string(effort_name(RunOptions().effort)),
                     over_domains = std::string(objective_name(RunOptions().domains)),
                     objective = RunOptions().objective.text();
  RunOptions options;
  CalibrationTextArgument calibration;
  ImageArguments labelled;
  CLI::Option *target_option = nullptr, *effort_option = nullptr, *scheme_option = nullptr;
  bool dry_run = false, best = false;
  DataArguments data;
  ComputeArguments compute;
  JsonArgument json;
  CommandFiles io;

  /// What nobody chose is by the model: one that sees has a target of its own.
  RunOptions parsed(const Model& model, Console& console) const {
    RunOptions o = options;
    const bool reads = model.config().is_language_model();
    o.output = output;
    o.calibration_text = calibration.files;
    if (reads) {
      refuse_image_options("run", *command, model.source().name);
      refuse_given("run", *command, {"--diagnose-images"}, "of models that see");
      require_texts(data.data, model, "run");
      o.evaluation_text = data.data;
    } else {
      refuse_text_options(
          "run", *command,
          {"--groups", "--filter", "--context", "--windows", "--score", "--screen-windows", "--diagnose-windows",
           "--over-domains", "--limit", "--tokenizer-pre", "--tokenizer-pre-unchecked"},
          model.source().name);
      labelled.check(model, "run");
      o.images = image_set_of(data.data, model, "run");
      o.classes = labelled.classes;
      o.prompts = labelled.prompts;
      o.target = target_for(*target_option, o.target, model);
      if (scheme_option->count() == 0) o.scheme = find_target(o.target).four_bit_schemes.front();
    }
    o.evaluation_windows = data.windows;
    o.score_all = data.score == "all";
    o.groups = data.groups;
    o.filter = data.filter;
    o.context = data.context;
    o.domains = parse_objective(over_domains);
    o.objective = PlanObjective::parse(objective);
    o.effort = parse_effort(effort);
    const bool by_class = !reads && o.objective.kind != PlanObjective::Kind::kMean;
    if (by_class && effort_option->count() == 0) o.effort = Effort::kExact;  // a screen does not tell classes apart
    o.codebooks = best;
    if (best && o.method.empty()) o.method = "auto";
    o.compute = compute.options(console);
    return o;
  }
};

/// As people plan with it: "40 s", "12 min", "3.4 h".
std::string rough_time(double seconds) {
  if (seconds < 99.5) return fmt::format("{:.0f} s", std::max(1.0, seconds));
  return seconds < 5970 ? fmt::format("{:.0f} min", seconds / 60) : fmt::format("{:.1f} h", seconds / 3600);
}

void print_stages(const std::vector<StageTime>& stages, Console& console) {
  if (stages.empty()) return;
  TextTable table({"stage", "seconds", "CPU seconds", "peak MiB"});
  StageTime all{"all"};
  const auto add = [&](const StageTime& s) {
    table.add({s.stage, fmt::format("{:.1f}", s.seconds), fmt::format("{:.1f}", s.cpu_seconds),
               fmt::format("{}", s.peak_bytes >> 20)});
  };
  for (const StageTime& stage : stages) {
    add(stage);
    all.seconds += stage.seconds;
    all.cpu_seconds += stage.cpu_seconds;
    all.peak_bytes = std::max(all.peak_bytes, stage.peak_bytes);
  }
  add(all);
  fmt::print(console.out, "{}\n", table.str(console.width()));
}

uint64_t bytes_of_folder(const std::filesystem::path& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += entry.file_size();
  return bytes;
}

/// Where values were not searched alike: "values of uniform gguf:q4_k and planned are searched by auto, of others by
/// importance". "" otherwise.
std::string methods_told(const RunResult& result) {
  const std::string& own = result.rows.back().method;  // the plan's
  std::vector<std::string> alike;
  std::string other;
  for (const EvaluationRow& row : result.rows) {
    if (row.method.empty()) continue;  // the source
    if (row.method == own)
      alike.push_back(row.label);
    else
      other = row.method;
  }
  if (other.empty()) return "";
  return fmt::format("values of {} are searched by {}, of others by {}\n", fmt::join(alike, " and "), own, other);
}

/// How far the damages of single matrices, which the plan goes by, add up to what all of them do on another text.
std::string foretold_told(const RunResult& result) {
  const auto plan = std::ranges::find(result.rows, "plan", &EvaluationRow::kind);
  if (plan == result.rows.end() || plan->foretold_kl_nats.value_or(0) <= 0) return "";
  return fmt::format(
      "the plan was foretold {:.4g} nats, its matrices one by one on what it was made from; all at once "
      "on what is evaluated they do {:.3g} times as much\n",
      *plan->foretold_kl_nats, plan->text.kl().mean / *plan->foretold_kl_nats);
}

/// Of the group that drifted most: "0.0123 (fi)"; "-" of what is compared with nothing.
std::string worst_group_cell(const EvaluationRow& row) {
  const Measured* worst = nullptr;
  std::string name;
  for (const auto& [group, scores] : row.groups)
    if (const Measured* kl = scores.find("kl_nats"); kl != nullptr && (worst == nullptr || kl->mean > worst->mean)) {
      worst = kl;
      name = group;
    }
  return worst == nullptr ? "-" : fmt::format("{:.4f} ({})", worst->mean, name);
}

void print_result(const RunResult& result, const JsonArgument& json, Console& console) {
  if (json.write(run_result_to_json(result), console)) return;
  std::vector<std::string> head{"plan", "bytes", "bits/weight"};
  const std::vector<std::string> measures =
      result.of_images ? std::vector<std::string>{"accuracy %", "loss nats", "KL nats", "±", "same class %"}
                       : std::vector<std::string>{"perplexity", "KL nats", "±", "same top %"};
  head.insert(head.end(), measures.begin(), measures.end());
  const bool groups = std::ranges::any_of(result.rows, [](const EvaluationRow& row) { return !row.groups.empty(); });
  if (groups) head.emplace_back("worst group KL");
  const bool limits = !result.limits.empty();
  if (limits) head.insert(head.end(), {"limit nats", "times limit"});
  TextTable table(head);
  for (const EvaluationRow& r : result.rows) {
    const auto measured = [&](const char* key) {  // the source is compared with nothing
      const Measured* value = r.text.find(key);
      return value == nullptr ? Measured{NAN, NAN} : *value;
    };
    const Measured kl = measured("kl_nats");
    std::vector<std::string> row{r.label, fmt::format("{}", r.bytes), number_cell(r.bits_per_weight, 3)};
    if (result.of_images)
      row.insert(row.end(),
                 {number_cell(100 * measured("accuracy_share").mean, 2), number_cell(measured("nll_nats").mean, 4)});
    else
      row.push_back(number_cell(measured("perplexity").mean, 4));
    row.insert(row.end(), {number_cell(kl.mean, 6), number_cell(kl.standard_error, 6),
                           number_cell(100 * measured("same_top_share").mean, 3)});
    if (groups) row.push_back(worst_group_cell(r));
    if (limits) {
      const auto it = result.limits.find(r.label);
      const bool known = it != result.limits.end();
      row.push_back(known ? fmt::format("{:.3g}", it->second.limit_nats) : "-");
      row.push_back(known ? fmt::format("{:.3g}", it->second.ratio()) : "-");
    }
    table.add(row);
  }
  print_stages(result.stages, console);
  fmt::print(console.out, "{}\nbudget {} = {} bytes; model: {}; report: {}\n", table.str(console.width()),
             result.budget_text, result.budget_bytes, result.files.model.string(), result.files.report.string());
  fmt::print(console.out, "{}{}", methods_told(result), foretold_told(result));
  if (std::filesystem::is_directory(result.files.model))
    fmt::print(console.out,
               "bytes above are those of matrices in their schemes; {} holds values as float32, {} bytes\n",
               result.files.model.string(), bytes_of_folder(result.files.model));
  if (const auto it = result.limits.find(result.rows[result.chosen].label); it != result.limits.end())
    print_limit_shares(it->second, console);
}

void print_forecast(const RunForecast& forecast, const RunOptions& options, const JsonArgument& json,
                    Console& console) {
  Json out = {{"budget", {{"text", options.budget}, {"bytes", forecast.budget_bytes}}},
              {"components", forecast.components},
              {"diagnose_windows", forecast.diagnose_windows},
              {"exact_seconds", forecast.exact_seconds},
              {"seconds", forecast.seconds},
              {"peak_bytes", forecast.peak_bytes},
              {"threads", forecast.threads}};
  TextTable table({"uniform plan", "bytes", "bits/weight"});
  for (const RunForecast::UniformFile& file : forecast.uniform_files) {
    table.add({file.label, fmt::format("{}", file.bytes), fmt::format("{:.3f}", file.bits_per_weight)});
    out["uniform_plans"].push_back({{"label", file.label},
                                    {"bytes", file.bytes},
                                    {"bits_per_weight", file.bits_per_weight},
                                    {"fallbacks", file.fallbacks}});
  }
  TextTable stages({"stage", "foretold"});
  for (const RunForecast::Stage& stage : forecast.stages) {
    stages.add({stage.stage, rough_time(stage.seconds)});
    out["stages"].push_back({{"stage", stage.stage}, {"seconds", stage.seconds}});
  }
  if (json.write(out, console)) return;
  fmt::print(console.out, "{}\nbudget {} = {} bytes\n", table.str(console.width()), options.budget,
             forecast.budget_bytes);
  if (forecast.stages.empty()) return;  // nothing is timed on another device
  fmt::print(console.out,
             "\n{}\n--effort {}: about {} and {} MiB on {} thread{}, if this machine stays as busy as it is\n",
             stages.str(console.width()), effort_name(options.effort), rough_time(forecast.seconds),
             forecast.peak_bytes >> 20, forecast.threads, forecast.threads == 1 ? "" : "s");
  if (options.effort != Effort::kExact)
    fmt::print(console.out, "--effort exact would measure {} components on {} {}: about {} for that\n",
               forecast.components, forecast.diagnose_windows,
               options.images.empty() ? fmt::format("windows of {} tokens", options.context) : std::string("images"),
               rough_time(forecast.exact_seconds));
}

}  // namespace

void add_run(CLI::App& app, Console& console) {
  auto* command =
      app.add_subcommand("run", "The whole chain: calibrate, diagnose, plan, quantize, export, evaluate, report");
  auto a = std::make_shared<Arguments>();
  a->command = command;
  RunOptions& o = a->options;
  add_model(*command, a->io, a->model);
  add_option(*command, "--budget", o.budget, "+10% (over uniform int4), 4.5bpw, 3.8GiB, 16950144 or 50% (of 16 bit)")
      ->capture_default_str();
  a->target_option = add_target(*command, o.target);
  add_option(*command, "-o,--output", a->output, "Run directory; the same one again goes on where it stopped")
      ->check(named())
      ->capture_default_str();
  a->io.writes_folder("--output", a->output,
                      {"manifest.json", "calibration.safetensors", "screen.json", "damage.json", "diagnosis.json",
                       "front.json", "plan.json", "groups.json", "limit.json", "model.gguf", "model/",
                       "evaluation.json", "report.html", "work/", "work/sweep/"});
  add_flag(*command, "--force", o.replace, "Replace the run of another model in the run directory");
  a->calibration.add(*command, a->io, "Text to calibrate and diagnose on; a built-in text by default");
  a->io.reads(o.calibration_images);
  add_option(
      *command, "--calibration-images", o.calibration_images,
      "Manifest or folder to calibrate and diagnose a model that sees on; by default a fifth of --data, which is then "
      "not evaluated")
      ->check(CLI::ExistingPath);
  a->labelled.add(*command, a->io);
  add_option(*command, "--calibration-windows", o.calibration_windows,
             "Calibrate on N windows, evenly spaced over the text, or N images; 0: all")
      ->check(count_range())
      ->capture_default_str();
  a->effort_option =
      add_option(
          *command, "--effort", a->effort,
          "What the plan rests on: screen (foretold by gradients), confirm (measured where it decides), exact (every "
          "component measured, which plans by class of images take)")
          ->capture_default_str();
  add_flag(
      *command, "--second-round", o.second_round,
      "Measure again around the plan what it came nearest to choosing otherwise, and plan once more where that pays");
  add_option(*command, "--max-minutes", o.max_minutes,
             "Stop confirming early enough for everything to be done after N minutes; 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_flag(
      *command, "--limit", o.limit,
      "Compare with the least KL of any code also where that takes more than a minute, or the text is short for it");
  add_option(*command, "--screen-windows", o.screen_windows,
             "Screen on N windows, as many of each calibration text, which rounds N up; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--over-domains", a->over_domains,
             "What a plan makes of the damages on several calibration texts: their mean, or the worst")
      ->capture_default_str();
  add_objective(*command, a->objective);
  add_option(
      *command, "--diagnose-windows", o.diagnose_windows,
      "Measure exactly on N windows of the same text, as many of each calibration text, which rounds N up; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--diagnose-images", o.diagnose_images,
             "Measure a model that sees on at most N images, evenly over the classes; 0: all")
      ->check(count_range())
      ->capture_default_str();
  a->scheme_option = add_option(*command, "--scheme", o.scheme,
                                "Scheme of the isolated measurements; for a model that sees its target's own of 4 bits")
                         ->capture_default_str();
  add_option(
      *command, "--method", o.method,
      fmt::format("How stored values of the plan and of the best uniform file are searched, auto up to {} million "
                  "weights unless named; those of others by importance where that is cheaper. {}",
                  kSearchedWeights / 1'000'000, described_searches()));
  add_flag(*command, "--best", a->best,
           "Whatever lessens damage, however long it takes: --method auto, and codebooks (iq2, iq3, iq4_xs) among the "
           "candidates");
  a->data.add(
      *command, a->io,
      "; for a model that sees a manifest (CSV: path, label and a column per attribute) or a folder of classes");
  add_export_options(*command, o.file);
  add_flag(*command, "--strict", o.strict, "Text shared between calibration and evaluation is an error");
  add_option(*command, "--seed", o.seed, "Of the labels that a screen draws and the sample that confirms it")
      ->capture_default_str();
  add_flag(*command, "--dry-run", a->dry_run, "Only print sizes, what would be measured and how long that takes");
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    a->calibration.check();
    find_target(a->options.target);  // says what is not supported yet, before the model is read
    Budget::parse(a->options.budget);
    const Model model = load_model(a->model);
    const RunOptions options = a->parsed(model, console);
    if (a->dry_run) return print_forecast(forecast_run(model, options, &console.progress), options, a->json, console);
    print_result(run(model, options, &console.progress), a->json, console);
  });
}

}  // namespace vernier
