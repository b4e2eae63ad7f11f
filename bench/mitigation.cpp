// mitigation MODEL --uniform plan.json --mixed plan.json --data TRAIN --groups HELD_OUT [options of the recipe]: the ablation of
// arXiv 2509.07222, {uniform, mixed precision} x {plain, balanced sampling} x {plain, weighted loss} x seeds.
//
// A line per cell: KL from full precision of the worst group and of all, mean over seeds, on held-out examples. Then a line
// per factor: what it changes in cells that differ in nothing else, mean over those pairs with a 95% interval (Student's t).
// Both plans should take the same bytes.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>

#include "base/fail.h"
#include "base/json.h"
#include "base/sequential.h"
#include "base/text_table.h"
#include "vernier/classify.h"
#include "vernier/finetune.h"

namespace vernier {

namespace {

struct MitigationArguments {
  std::string model, uniform, mixed, data, groups, attribute, weighting = "group", json;
  int64_t context = 512, seeds = 3;
  FinetuneOptions options;
};

struct Factor {
  const char* name;
  std::array<const char*, 2> levels;
};
constexpr std::array<Factor, 3> kFactors = {
    {{"precision", {"uniform", "mixed"}}, {"sampling", {"plain", "balanced"}}, {"loss", {"plain", "weighted"}}}};
constexpr size_t kCells = 8;

bool is_on(size_t cell, size_t factor) { return (cell >> factor & 1) != 0; }

struct Outcome {
  double worst_kl = 0, mean_kl = 0;
};

TrainingData data_of(const Model& model, const MitigationArguments& a, const std::string& path, bool held_out) {
  if (model.config().reads_images())
    return training_images(model, read_manifest(path, class_names_of(model)), a.attribute,
                           resolve_threads(a.options.compute));
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const std::vector<Document> documents = read_documents(path);
  return held_out ? held_out_text(document_windows(tokenizer, path, documents, {.context = a.context}))
                  : training_text(tokenizer, path, documents, a.context);
}

/// outcomes[cell][seed]
std::vector<std::vector<Outcome>> run_cells(const MitigationArguments& a) {
  const Model model = load_model(a.model);
  const std::array<Plan, 2> plans = {plan_from_json(read_json(a.uniform), a.uniform),
                                     plan_from_json(read_json(a.mixed), a.mixed)};
  const TrainingData all = data_of(model, a, a.data, false), held_out = data_of(model, a, a.groups, true);
  if (const int64_t shared = shared_examples(held_out, all); shared > 0)
    fail(ErrorKind::kInvalidArgument, "mitigation: {} and {} share {} examples", a.data, a.groups, shared);
  std::vector<std::vector<Outcome>> outcomes(kCells);
  for (int64_t seed = 1; seed <= a.seeds; ++seed)
    for (size_t cell = 0; cell < kCells; ++cell) {
      FinetuneOptions options = a.options;
      options.seed = static_cast<uint64_t>(seed);
      options.sampling = is_on(cell, 1) ? "balanced" : "uniform";
      options.weighting = is_on(cell, 2) ? a.weighting : "none";
      const auto [learned, validation] = split_training_data(all, 0.05, options.seed);
      const FinetuneResult tuned = finetune(model, plans[is_on(cell, 0)], {}, learned, validation, options);
      const FinetuneEvaluation e = evaluate_finetuned(model, tuned.model, held_out, options);
      outcomes[cell].push_back({e.worst_kl_nats(), e.all.kl_nats.mean});
      fmt::print(stderr, "seed {} cell {}: worst {} {:.4f}, all {:.4f}\n", seed, cell, e.worst_group(),
                 e.worst_kl_nats(), e.all.kl_nats.mean);
    }
  return outcomes;
}

/// Mean with the half width of its 95% interval; NaN for a single value.
std::pair<double, double> mean_and_half_width(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  if (values.size() < 2) return {mean, NAN};
  return {mean, student_quantile(0.975, static_cast<int64_t>(values.size()) - 1) * std::sqrt(squares / (n - 1) / n)};
}

Json print_outcomes(const std::vector<std::vector<Outcome>>& outcomes) {
  Json json = {{"cells", Json::array()}, {"factors", Json::array()}};
  TextTable cells({"precision", "sampling", "loss", "worst group KL", "mean KL"});
  const auto picked = [&](size_t cell, double Outcome::*figure) {
    std::vector<double> values;
    for (const Outcome& outcome : outcomes[cell]) values.push_back(outcome.*figure);
    return values;
  };
  for (size_t cell = 0; cell < kCells; ++cell) {
    Json row;
    std::vector<std::string> texts;
    for (size_t f = 0; f < kFactors.size(); ++f) {
      row[kFactors[f].name] = kFactors[f].levels[is_on(cell, f)];
      texts.emplace_back(kFactors[f].levels[is_on(cell, f)]);
    }
    row["worst_kl_nats"] = picked(cell, &Outcome::worst_kl);
    row["mean_kl_nats"] = picked(cell, &Outcome::mean_kl);
    texts.push_back(fmt::format("{:.4f}", mean_and_half_width(picked(cell, &Outcome::worst_kl)).first));
    texts.push_back(fmt::format("{:.4f}", mean_and_half_width(picked(cell, &Outcome::mean_kl)).first));
    cells.add(texts);
    json["cells"].push_back(row);
  }
  TextTable factors({"factor", "worst group KL", "95%", "mean KL", "95%"});
  for (size_t f = 0; f < kFactors.size(); ++f) {
    Json row = {{"factor", kFactors[f].name}};
    std::vector<std::string> texts{fmt::format("{} instead of {}", kFactors[f].levels[1], kFactors[f].levels[0])};
    for (const auto& [key, figure] :
         {std::pair("worst_kl_nats", &Outcome::worst_kl), std::pair("mean_kl_nats", &Outcome::mean_kl)}) {
      std::vector<double> changes;
      for (size_t cell = 0; cell < kCells; ++cell)
        for (size_t s = 0; !is_on(cell, f) && s < outcomes[cell].size(); ++s)
          changes.push_back(outcomes[cell | size_t{1} << f][s].*figure - outcomes[cell][s].*figure);
      const auto [mean, half] = mean_and_half_width(changes);
      row[key] = {{"change", mean}, {"low", finite_or_null(mean - half)}, {"high", finite_or_null(mean + half)}};
      texts.push_back(fmt::format("{:+.4f}", mean));
      texts.push_back(fmt::format("{:+.4f} to {:+.4f}", mean - half, mean + half));
    }
    factors.add(texts);
    json["factors"].push_back(row);
  }
  fmt::print("{}\n{}", cells.str(), factors.str());
  return json;
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  using namespace vernier;
  CLI::App app("The ablation of what mends disparity", "mitigation");
  MitigationArguments a;
  app.add_option("MODEL", a.model)->required();
  app.add_option("--uniform", a.uniform, "Plan of one precision")->required();
  app.add_option("--mixed", a.mixed, "Plan of several, of the same bytes")->required();
  app.add_option("--data", a.data, "To learn from")->required();
  app.add_option("--groups", a.groups, "Held out")->required();
  app.add_option("--attribute", a.attribute, "Of images: the column of groups");
  app.add_option("--weighting", a.weighting, "Of the weighted loss")->capture_default_str();
  app.add_option("--context", a.context)->capture_default_str();
  app.add_option("--seeds", a.seeds)->capture_default_str();
  app.add_option("--steps", a.options.steps)->capture_default_str();
  app.add_option("--batch", a.options.batch)->capture_default_str();
  app.add_option("--learning-rate", a.options.learning_rate)->capture_default_str();
  app.add_option("--evaluate-steps", a.options.evaluate_steps)->capture_default_str();
  app.add_option("--loss", a.options.loss)->capture_default_str();
  app.add_option("--device", a.options.compute.device)->capture_default_str();
  app.add_option("--json", a.json, "File to write");
  CLI11_PARSE(app, argc, argv);
  try {
    configure_process(resolve_threads(a.options.compute));
    const Json json = print_outcomes(run_cells(a));
    if (!a.json.empty()) write_json(a.json, json);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "mitigation: {}\n", e.what());
    return 1;
  }
}
