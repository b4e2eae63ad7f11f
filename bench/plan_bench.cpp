// plan_bench MODEL CALIBRATION TEXT [GROUPS.jsonl [KEY=VALUE]] [options; see --help]: what measuring buys. The plan
// against recipes that need no measurement and fit into the same bytes, all encoded with the same calibration, all
// scored in one pass against one reference:
//
//   uniform     one scheme for every matrix
//   by role     q5_k where a rule of thumb puts it: embedding, attn_v, attn_output, all but the last ffn_down
//   random N    matrices raised in random order to random schemes, as long as the file fits

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <functional>
#include <random>

#include "base/fail.h"
#include "base/text_table.h"
#include "ops/parallel.h"
#include "scheme/fitting.h"
#include "vernier/calibrate.h"
#include "vernier/error.h"
#include "vernier/evaluate.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, calibration, text, groups, filter, budget = "+10%";
  int64_t windows = 0, calibration_windows = 128, diagnosis_windows = 16, random = 20, context = 512;
  int threads = 0;
  bool bf16 = false;
};

struct Contender {
  Model model;
  uint64_t file_bytes = 0;
  bool random = false;
};

Plan by_role(const Model& model) {
  const std::string text = fmt::format(
      "token_embd\\.weight = gguf:q5_k\n"
      "blk\\.[0-9]+\\.attn_(v|output)\\.weight = gguf:q5_k\n"
      "blk\\.{}\\.ffn_down\\.weight = gguf:q4_k\n"
      "blk\\.[0-9]+\\.ffn_down\\.weight = gguf:q5_k\n"
      ".* = gguf:q4_k\n",
      model.config().depth() - 1);
  return plan_from_recipe(model, parse_recipe(text, "by role"), "by role");
}

/// Uniform q4_k whose matrices are raised, in random order and to random schemes, as long as the file fits; then those
/// that are left, by one step to q5_k, so that all of them spend nearly all of the budget.
Plan at_random(const Model& model, uint64_t seed, uint64_t budget,
               const std::function<uint64_t(const Plan&)>& file_bytes) {
  static const std::vector<std::string> higher = {"gguf:q5_k", "gguf:q6_k", "gguf:q8_0"};
  std::mt19937_64 random(seed);
  Plan plan = plan_uniform(model, "gguf:q4_k");
  plan.label = fmt::format("random {}", seed);
  std::vector<size_t> order(plan.entries.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto raise = [&](size_t i, const std::string& scheme) {
    PlanEntry& entry = plan.entries[i];
    const PlanEntry before = entry;
    const Scheme fits = fitting_scheme(Scheme::parse(scheme), entry.rows, entry.cols);
    entry.scheme = fits.name();
    entry.bytes = fits.bytes(entry.rows, entry.cols);
    plan.tensor_bytes += entry.bytes - before.bytes;
    if (entry.bytes > before.bytes && file_bytes(plan) <= budget) return;
    plan.tensor_bytes -= entry.bytes - before.bytes;
    entry = before;
  };
  std::shuffle(order.begin(), order.end(), random);
  for (const size_t i : order) raise(i, higher[random() % higher.size()]);
  for (const size_t i : order) raise(i, higher.front());
  return plan;
}

std::string figure(const Measured& m) { return fmt::format("{:.5f} ± {:.5f}", m.mean, m.standard_error); }

void run(const Arguments& a) {
  const auto start = std::chrono::steady_clock::now();
  const auto say = [&](const std::string& what) {
    fmt::print(stderr, "{:6.0f} s  {}\n",
               std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), what);
  };
  const ComputeOptions compute{.threads = a.threads};
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(a.model);
  const TokenizerModel words = load_tokenizer_of(model.source().path);
  const Tokenizer tokenizer(words);
  const std::string calibration_text = read_text_file(a.calibration).text;

  say("calibrate");
  const Calibration calibration = calibrate(
      model,
      text_windows(tokenizer, a.calibration, calibration_text,
                   {.context = a.context, .max_windows = a.calibration_windows, .score_all = true, .spread = true}),
      compute);
  say("diagnose");
  DiagnoseOptions options = planning_diagnosis();
  options.kinds = {ComponentKind::kTensor, ComponentKind::kEmbed, ComponentKind::kLmHead};
  options.joint = false;
  options.compute = compute;
  const Diagnosis diagnosis =
      diagnose(model, calibration,
               text_windows(tokenizer, a.calibration, calibration_text,
                            {.context = a.context, .max_windows = a.diagnosis_windows, .spread = true}),
               options);

  say("quantize");
  const DamageTable damage = damage_table(model, diagnosis);
  const Plan planned = plan_within(model, words, damage, a.budget);
  const auto file_bytes = [&](const Plan& plan) { return find_target("llama.cpp").file_bytes(model, plan, words, {}); };
  std::vector<Plan> plans = uniform_plans_within(model, words, damage, planned.budget_bytes);
  // The label may go on with the matrices that could not take the scheme.
  const auto uniform =
      std::find_if(plans.begin(), plans.end(), [](const Plan& p) { return p.label.starts_with("uniform gguf:q4_k"); });
  if (uniform == plans.end())
    fail(ErrorKind::kInvalidArgument,
         "plan_bench: --budget {}: uniform gguf:q4_k, which the others are compared with, does not fit", a.budget);
  const auto base = static_cast<size_t>(uniform - plans.begin());
  if (Plan role = by_role(model); file_bytes(role) <= planned.budget_bytes)
    plans.push_back(std::move(role));
  else
    say("left out, since it is over the budget: by role");
  plans.push_back(planned);
  const size_t fixed = plans.size();
  for (int64_t seed = 1; seed <= a.random; ++seed)
    plans.push_back(at_random(model, static_cast<uint64_t>(seed), planned.budget_bytes, file_bytes));
  std::deque<Contender> contenders;
  std::vector<const Model*> models;
  for (const Plan& plan : plans) {
    contenders.push_back(
        {quantize(model, calibration, plan, threads).in_memory(), file_bytes(plan), contenders.size() >= fixed});
    models.push_back(&contenders.back().model);
  }

  ComputeOptions evaluation = compute;
  if (a.bf16) evaluation.type = ComputeType::kBFloat16;
  std::vector<std::vector<Evaluation>> columns;
  say("evaluate the text");
  columns.push_back(evaluate(
      models, &model,
      text_windows(tokenizer, a.text, read_text_file(a.text).text, {.context = a.context, .max_windows = a.windows}),
      {evaluation}));
  if (!a.groups.empty()) {
    say("evaluate the documents");
    columns.push_back(
        evaluate(models, &model,
                 document_windows(tokenizer, a.groups, read_documents(a.groups, a.filter), {.context = a.context}),
                 {evaluation}));
  }
  say("done");

  std::vector<std::string> header = {"recipe", "file bytes", "of budget"};
  for (const auto& column : columns) {
    header.push_back(fmt::format("KL on {}", column[0].data.name.substr(column[0].data.name.rfind('/') + 1)));
    header.push_back("of q4_k");
  }
  TextTable table(header);
  for (size_t i = 0; i < contenders.size(); ++i) {
    std::vector<std::string> row = {plans[i].label, fmt::format("{}", contenders[i].file_bytes),
                                    fmt::format("{:.4f}", static_cast<double>(contenders[i].file_bytes) /
                                                              static_cast<double>(planned.budget_bytes))};
    for (const auto& column : columns) {
      row.push_back(figure(column[i].all.kl()));
      row.push_back(fmt::format("{:.3f}", column[i].all.kl().mean / column[base].all.kl().mean));
    }
    table.add(row);
  }
  if (a.random > 0) {
    std::vector<std::string> median_row = {"median of random", "", ""}, best_row = {"best of random", "", ""};
    for (const auto& column : columns) {
      std::vector<double> kl;
      for (size_t i = fixed; i < contenders.size(); ++i) kl.push_back(column[i].all.kl().mean);
      std::sort(kl.begin(), kl.end());
      const double median = (kl[kl.size() / 2] + kl[(kl.size() - 1) / 2]) / 2;
      for (const auto& [row, value] : {std::pair(&median_row, median), std::pair(&best_row, kl.front())}) {
        row->push_back(fmt::format("{:.5f}", value));
        row->push_back(fmt::format("{:.3f}", value / column[base].all.kl().mean));
      }
    }
    table.add(median_row);
    table.add(best_row);
  }
  fmt::print("{}: budget {} = {} bytes; calibrated on {} windows, diagnosed on {} of {}\n", model.source().name,
             a.budget, planned.budget_bytes, calibration.windows, diagnosis.windows, a.calibration);
  for (const auto& column : columns)
    fmt::print("{}: {} tokens scored in {} windows, full precision perplexity {:.4f}\n", column[0].data.name,
               column[0].all.tokens, column[0].data.windows, std::exp(column[0].all.at("reference_nll_nats").mean));
  fmt::print("{}\n{}", table.str(), recipe_text(planned));
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("What a measured plan buys over recipes that need no measurement, at equal bytes");
  app.add_option("MODEL", a.model)->required();
  app.add_option("CALIBRATION", a.calibration, "Text to calibrate and diagnose on")->required();
  app.add_option("TEXT", a.text, "Text to evaluate on")->required();
  app.add_option("GROUPS", a.groups, "JSONL of documents to evaluate on too");
  app.add_option("FILTER", a.filter, "KEY=VALUE that documents must have");
  app.add_option("--budget", a.budget);
  app.add_option("--windows", a.windows, "Of TEXT; 0: all");
  app.add_option("--calibration-windows", a.calibration_windows);
  app.add_option("--diagnosis-windows", a.diagnosis_windows);
  app.add_option("--random", a.random, "How many random recipes");
  app.add_option("--threads", a.threads);
  app.add_flag("--bf16", a.bf16, "Evaluate in bfloat16: twice as fast, KL about 1e-4 higher everywhere");
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
    return 0;
  } catch (const vernier::Error& e) {
    fmt::print(stderr, "plan_bench: {}\n", e.what());
    return 1;
  }
}
