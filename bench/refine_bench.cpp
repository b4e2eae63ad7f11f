// refine_bench MODEL --text FILE [options; see --help]: does a second round, measured around the plan, pay? For every
// budget a line: KL on FILE of the plan by the screen's table and of the plan by what was measured around that one, values
// by importance in both, and the CPU seconds of either; then the ratio of measured to foretold differences.

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cpu_seconds.h"
#include "data/named_texts.h"
#include "vernier/error.h"
#include "vernier/evaluate.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/refine.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, text;
  std::vector<std::string> calibration_texts, budgets = {"+10%"};
  int64_t windows = 0, screen_windows = 16, context = 512, exchanges = RefineOptions().exchanges;
  int threads = 0;
};

void run(const Arguments& a) {
  const ComputeOptions compute{.threads = a.threads};
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(a.model);
  const TokenizerModel words = load_tokenizer_of(model.source().path);
  const Tokenizer tokenizer(words);
  const TokenizedText read = calibration_text(tokenizer, a.calibration_texts, nullptr);
  const EvaluationData some = calibration_windows(read, a.context, a.screen_windows, nullptr);
  const EvaluationData text =
      evaluation_windows(tokenizer, {a.text}, {.context = a.context, .max_windows = a.windows}, nullptr);
  const Calibration calibration = calibrate(model, calibration_windows(read, a.context, 0, nullptr), compute);
  ScreenOptions options;
  options.schemes = planning_rules("llama.cpp", false).schemes;
  options.kinds = {ComponentKind::kTensor, ComponentKind::kEmbed, ComponentKind::kLmHead};
  options.kfac_rows = 0;
  options.compute = compute;
  DamageTable table;
  const Seconds screening = seconds_of([&] {
    table = damage_table(model, screen(model, calibration, {{"calibration", some}}, options));
  });
  fmt::print("{}: screened on {} windows in {:.0f} CPU s; {} tokens scored of {}\n", model.source().name,
             a.screen_windows, screening.cpu, text.scored_tokens(), text.name);
  const auto kl_of = [&](const DamageTable& damage, const std::string& budget) {
    const Model made =
        quantize(model, calibration, plan_within(model, words, damage, budget), threads).in_memory(nullptr);
    return evaluate({&made}, &model, text, {compute})[0].all.kl();
  };
  for (const std::string& budget : a.budgets) {
    Refinement r;
    const Seconds seconds = seconds_of([&] {
      r = refine(model, words, calibration, some, table,
                 {.budget = budget, .exchanges = a.exchanges, .compute = compute});
    });
    const Measured before = kl_of(table, budget), after = kl_of(r.table, budget);
    fmt::print(
        "{}: KL {:.5f} ± {:.5f} by the screen, {:.5f} ± {:.5f} by the second round: {:.3f} ({}; {} matrices exchanged; "
        "held-back windows {:.5f} -> {:.5f}); {} exchanges measured in {:.0f} CPU s, measured over foretold {:.2f}\n",
        budget, before.mean, before.standard_error, after.mean, after.standard_error, after.mean / before.mean,
        r.kept ? "kept" : "not kept", r.changed, r.before.mean, r.after.mean, r.exchanges.size(), seconds.cpu,
        r.factor);
    std::fflush(stdout);
  }
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  CLI::App app("Whether a second round around the plan pays");
  vernier::Arguments a;
  app.add_option("MODEL", a.model)->required();
  app.add_option("--text", a.text, "Text to evaluate on")->required();
  app.add_option("--windows", a.windows, "Of it; 0: all");
  app.add_option("--calibration-text", a.calibration_texts, "Built-in by default");
  app.add_option("--screen-windows", a.screen_windows, "Of the calibration text: screened and measured on");
  app.add_option("--exchanges", a.exchanges);
  app.add_option("--budgets", a.budgets)->delimiter(',');
  app.add_option("--threads", a.threads);
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
  } catch (const vernier::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
