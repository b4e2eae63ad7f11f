// mitigation MODEL --uniform plan.json --mixed plan.json --data TRAIN --groups HELD_OUT [options of the recipe]: the ablation of
// arXiv 2509.07222, {uniform, mixed precision} x {plain, balanced sampling} x {plain, weighted loss} x seeds.
//
// First both plans without training, then a line per cell, mean over seeds with a 95% interval (Student's t); worst and mean
// over the groups of held-out examples. Then a line per factor: what it changes in cells that differ in nothing else, a mean
// of those pairs per seed, with the interval over seeds. Both plans should take the same bytes. With --work and --part K/N
// several processes share the runs; the same call without --part prints the table.

#include <array>

#include "training_study.h"

namespace vernier {

namespace {

struct Factor {
  const char* name;
  std::array<const char*, 2> levels;
};
constexpr std::array<Factor, 3> kFactors = {
    {{"precision", {"uniform", "mixed"}}, {"sampling", {"plain", "balanced"}}, {"loss", {"plain", "weighted"}}}};
constexpr size_t kCells = 8;

bool is_on(size_t cell, size_t factor) { return (cell >> factor & 1) != 0; }

/// [seed] of a cell, or of a plan without training.
using Outcomes = std::vector<Outcome>;

std::vector<double> figures_of(const Outcomes& outcomes, double Outcome::*figure) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) values.push_back(outcome.*figure);
  return values;
}

/// Per seed the mean over pairs of cells that differ in this factor alone: seeds are what varies, cells are not.
std::vector<double> effects(const std::vector<Outcomes>& cells, size_t factor, double Outcome::*figure) {
  std::vector<double> by_seed;
  for (size_t s = 0; s < cells[0].size(); ++s) {
    double sum = 0;
    for (size_t cell = 0; cell < kCells; ++cell)
      if (!is_on(cell, factor)) sum += cells[cell | size_t{1} << factor][s].*figure - cells[cell][s].*figure;
    by_seed.push_back(sum / (kCells / 2));
  }
  return by_seed;
}

std::vector<Outcomes> run_cells(TrainingStudy& study, const std::array<Plan, 2>& plans, const std::string& weighting) {
  std::vector<Outcomes> cells(kCells);
  for (int64_t seed = 1; seed <= study.seeds; ++seed)
    for (size_t cell = 0; cell < kCells; ++cell) {
      FinetuneOptions own = study.options;
      own.seed = static_cast<uint64_t>(seed);
      own.sampling = is_on(cell, 1) ? "balanced" : "uniform";
      own.weighting = is_on(cell, 2) ? weighting : "none";
      const Plan& plan = plans[is_on(cell, 0)];
      cells[cell].push_back(study.outcome(fmt::format("seed {} cell {}", seed, cell),
                                          {{"trained", plan_to_json(plan)}, {"by", finetune_options_to_json(own)}},
                                          [&] { return study.trained(plan, own); }));
    }
  return cells;
}

std::vector<std::string> header_of(std::vector<std::string> first) {
  for (const OutcomeFigure& figure : kOutcomeFigures) first.emplace_back(figure.title);
  return first;
}

Json print_cells(const std::array<Outcomes, 2>& untrained, const std::vector<Outcomes>& cells) {
  Json json = Json::array();
  TextTable table(header_of({"precision", "sampling", "loss"}));
  const auto add = [&](std::vector<std::string> texts, const Outcomes& outcomes) {
    Json row = {{"precision", texts[0]}, {"sampling", texts[1]}, {"loss", texts[2]}};
    for (const OutcomeFigure& figure : kOutcomeFigures) {
      row[figure.key] = figures_of(outcomes, figure.value);
      texts.push_back(with_half_width(figures_of(outcomes, figure.value)));
    }
    table.add(texts);
    json.push_back(row);
  };
  for (const size_t mixed : {0, 1}) add({kFactors[0].levels[mixed], "not trained", ""}, untrained[mixed]);
  for (size_t cell = 0; cell < kCells; ++cell) {
    std::vector<std::string> texts;
    for (size_t f = 0; f < kFactors.size(); ++f) texts.emplace_back(kFactors[f].levels[is_on(cell, f)]);
    add(texts, cells[cell]);
  }
  fmt::print("{}\n", table.str());
  return json;
}

Json print_factors(const std::vector<Outcomes>& cells) {
  Json json = Json::array();
  TextTable table(header_of({"factor"}));
  for (size_t f = 0; f < kFactors.size(); ++f) {
    Json row = {{"factor", kFactors[f].name}};
    std::vector<std::string> texts{fmt::format("{} instead of {}", kFactors[f].levels[1], kFactors[f].levels[0])};
    for (const OutcomeFigure& figure : kOutcomeFigures) {
      const auto [mean, half] = mean_and_half_width(effects(cells, f, figure.value));
      row[figure.key] = {{"change", mean}, {"low", finite_or_null(mean - half)}, {"high", finite_or_null(mean + half)}};
      texts.push_back(std::isnan(half) ? fmt::format("{:+.4f}", mean) : fmt::format("{:+.4f} ± {:.4f}", mean, half));
    }
    table.add(texts);
    json.push_back(row);
  }
  fmt::print("{}", table.str());
  return json;
}

void run_mitigation(TrainingStudy& study, const std::string& uniform, const std::string& mixed,
                    const std::string& weighting) {
  study.load();
  const std::array<Plan, 2> plans = {plan_from_json(read_json(uniform), uniform),
                                     plan_from_json(read_json(mixed), mixed)};
  std::array<Outcomes, 2> untrained;
  for (const size_t m : {0, 1})
    untrained[m] = {study.outcome(kFactors[0].levels[m], {{"untrained", plan_to_json(plans[m])}, {"by", study.method}},
                                  [&] { return study.quantized(plans[m], "uniform", 1); })};
  const std::vector<Outcomes> cells = run_cells(study, plans, weighting);
  if (study.missing() > 0) {
    fmt::print(stderr, "mitigation: other parts make {} more; the table is printed once all are there\n",
               study.missing());
    return;
  }
  const Json rows = print_cells(untrained, cells), factors = print_factors(cells);
  study.write({{"cells", rows}, {"factors", factors}});
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  using namespace vernier;
  CLI::App app("The ablation of what mends disparity", "mitigation");
  TrainingStudy study;
  std::string uniform, mixed, weighting = "group";
  study.add_options(app);
  app.add_option("--uniform", uniform, "Plan of one precision")->required();
  app.add_option("--mixed", mixed, "Plan of several, of the same bytes")->required();
  app.add_option("--weighting", weighting, "Of the weighted loss")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    run_mitigation(study, uniform, mixed, weighting);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "mitigation: {}\n", e.what());
    return 1;
  }
}
