// group_plan_bench MODEL DATA BUDGET...: whether a plan for the worst group hurts the worst group less than the plan for
// the mean, at equal bytes and on data that neither has seen. DATA are JSON lines with text and group, or of a model that
// sees a manifest of images, whose classes are the groups. Even documents (images) of every group calibrate and diagnose,
// odd ones measure. Paired bootstrap intervals over the documents of every group. Beside both stands the plan for the
// worst group alone: what is the most that any plan of this size could do for it.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <random>

#include "base/text_table.h"
#include "data/image_subset.h"
#include "diagnose/window_groups.h"
#include "engine/engine.h"
#include "engine/vision_sweep.h"
#include "vernier/classify.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, data, scheme, target;  // of the last two "": by what the model reads
  std::vector<std::string> budgets;
  int64_t context = 512, windows = 96, held_out = 384, draws = 4000;
  int threads = 0;
};

/// Documents of every group whose number within it is odd or even: parallel documents stay on one side.
std::vector<Document> half_of(const std::vector<Document>& documents, bool odd) {
  std::map<std::string, int64_t> seen;
  std::vector<Document> half;
  for (const Document& document : documents)
    if ((seen[document.group]++ % 2 == 1) == odd) half.push_back(document);
  return half;
}

/// Images of every class, of which each is a group, whose number within it is odd or even; `count` spread over them.
AnswerData half_of(const Model& model, LabelledImages images, bool odd, int64_t count) {
  std::map<int32_t, int64_t> seen;
  std::erase_if(images.images, [&](const LabelledImage& image) { return (seen[image.label]++ % 2 == 1) != odd; });
  images.name = fmt::format("{} images of {}", odd ? "odd" : "even", images.name);
  images = spread_images(images, count);
  AnswerData data = answer_data(model, images);
  data.groups.clear();
  for (const LabelledImage& image : images.images)
    data.groups.push_back(images.classes[static_cast<size_t>(image.label)]);
  return data;
}

/// KL sums by unit of a plan's model.
std::vector<double> measured(const Model& model, const Calibration& calibration, const Plan& plan, Sweep& sweep,
                             const WindowGroups& groups, int threads) {
  return kl_of_units(groups, sweep.whole_model(quantize(model, calibration, plan, threads).in_memory()));
}

/// Means by group, of units as often as drawn.
std::vector<double> means(const WindowGroups& groups, const std::vector<double>& kl, const std::vector<int>& times) {
  std::vector<double> sums(groups.names.size()), tokens(groups.names.size());
  for (size_t u = 0; u < kl.size(); ++u) {
    sums[groups.group_of_unit[u]] += times[u] * kl[u];
    tokens[groups.group_of_unit[u]] += times[u] * groups.unit_tokens[u];
  }
  for (size_t g = 0; g < sums.size(); ++g) sums[g] /= tokens[g];
  return sums;
}

class Draws {
 public:
  Draws(const WindowGroups& groups, uint64_t seed) : members_(groups.names.size()), random_(seed) {
    for (size_t u = 0; u < groups.group_of_unit.size(); ++u) members_[groups.group_of_unit[u]].push_back(u);
  }
  /// How often each unit: with replacement, within its group.
  std::vector<int> next() {
    size_t count = 0;
    for (const auto& own : members_) count += own.size();
    std::vector<int> times(count);
    for (const auto& own : members_)
      for (size_t i = 0; i < own.size(); ++i) ++times[own[random_() % own.size()]];
    return times;
  }

 private:
  std::vector<std::vector<size_t>> members_;
  std::mt19937_64 random_;
};

struct Difference {
  double value = 0, low = 0, high = 0;
  std::string text() const { return fmt::format("{:+.6f} [{:+.6f}, {:+.6f}]", value, low, high); }
  const char* verdict() const { return low > 0 ? "lowered" : high < 0 ? "raised" : "not told apart"; }
};

Difference difference_of(double value, std::vector<double> draws) {
  std::sort(draws.begin(), draws.end());
  const auto at = [&](double q) { return draws[static_cast<size_t>(q * static_cast<double>(draws.size() - 1))]; };
  return {value, at(0.025), at(0.975)};
}

double worst_of(const std::vector<double>& values) { return *std::max_element(values.begin(), values.end()); }
size_t worst_place(const std::vector<double>& values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

/// Predicted damages of a plan, by group of the measured windows.
std::vector<double> predicted(const DamageTable& table, const Plan& plan, const WindowGroups& groups) {
  std::vector<double> sums(groups.names.size());
  for (const GroupDamageTable& group : table.groups) {
    const auto place = std::find(groups.names.begin(), groups.names.end(), group.name);
    if (place == groups.names.end()) continue;
    double& sum = sums[static_cast<size_t>(place - groups.names.begin())];
    for (const PlanEntry& e : plan.entries)
      if (const auto& kl = group.kl.at(parse_tensor(e.tensor)); e.damage > 0 && kl.contains(e.scheme))
        sum += kl.at(e.scheme);
  }
  return sums;
}

void compare(const Arguments& a, const std::string& budget, const Model& model, const TokenizerModel& tokenizer,
             const Calibration& calibration, const DamageTable& table, const WindowGroups& groups, Sweep& sweep) {
  const auto plan_for = [&](const std::string& objective) {
    return plan_within(model, tokenizer, table, budget, {a.target, {}, PlanObjective::parse(objective)});
  };
  const Plan by_mean = plan_for("mean"), by_worst = plan_for("worst-group");
  const std::vector<double> foretold = predicted(table, by_mean, groups),
                            foretold_worst = predicted(table, by_worst, groups);
  const size_t expected = worst_place(foretold);  // chosen before anything held out is looked at
  const Plan for_one = plan_for("weighted:" + groups.names[expected] + "=1");
  std::vector<std::vector<double>> kl;
  for (const Plan* plan : {&by_mean, &by_worst, &for_one})
    kl.push_back(measured(model, calibration, *plan, sweep, groups, a.threads));

  const std::vector<int> once(groups.unit_tokens.size(), 1);
  std::vector<std::vector<double>> mean;
  for (const auto& own : kl) mean.push_back(means(groups, own, once));
  std::vector<std::vector<double>> gained(groups.names.size());
  std::vector<double> worst_gained, one_gained;
  Draws draws(groups, 1);
  for (int64_t n = 0; n < a.draws; ++n) {
    const std::vector<int> times = draws.next();
    const std::vector<double> of_mean = means(groups, kl[0], times), of_worst = means(groups, kl[1], times),
                              of_one = means(groups, kl[2], times);
    for (size_t g = 0; g < gained.size(); ++g) gained[g].push_back(of_mean[g] - of_worst[g]);
    worst_gained.push_back(worst_of(of_mean) - worst_of(of_worst));
    one_gained.push_back(of_mean[expected] - of_one[expected]);
  }

  fmt::print("\nbudget {} = {} bytes; plan for the worst group: predicted {:.6f} nats, proven bound {:.6f}\n", budget,
             by_mean.budget_bytes, by_worst.objective->kl_nats, by_worst.objective->lower_bound_kl_nats);
  TextTable out({"group", "documents", "mean plan", "worst-group plan", "gained [95%]", "predicted by mean plan",
                 "by worst-group plan", "least of any plan", "weight"});
  for (size_t g = 0; g < groups.names.size(); ++g) {
    const auto planned = std::find_if(by_worst.objective->groups.begin(), by_worst.objective->groups.end(),
                                      [&](const PlannedGroup& p) { return p.group == groups.names[g]; });
    out.add({groups.names[g],
             fmt::format("{}", std::count(groups.group_of_unit.begin(), groups.group_of_unit.end(), g)),
             fmt::format("{:.6f}", mean[0][g]), fmt::format("{:.6f}", mean[1][g]),
             difference_of(mean[0][g] - mean[1][g], gained[g]).text(), fmt::format("{:.6f}", foretold[g]),
             fmt::format("{:.6f}", foretold_worst[g]), fmt::format("{:.6f}", planned->least_kl_nats),
             fmt::format("{:.3f}", planned->weight)});
  }
  fmt::print("{}", out.str(200));
  const Difference worst = difference_of(worst_of(mean[0]) - worst_of(mean[1]), worst_gained);
  fmt::print("worst group's measured damage: {} {:.6f} by the mean plan, {} {:.6f} by the worst-group plan: {} ({})\n",
             groups.names[worst_place(mean[0])], worst_of(mean[0]), groups.names[worst_place(mean[1])],
             worst_of(mean[1]), worst.text(), worst.verdict());
  const Difference own = difference_of(mean[0][expected] - mean[1][expected], gained[expected]);
  const Difference most = difference_of(mean[0][expected] - mean[2][expected], one_gained);
  fmt::print("{}, foretold to be hurt most: gained {} ({}); a plan for it alone gains {} ({})\n",
             groups.names[expected], own.text(), own.verdict(), most.text(), most.verdict());
}

/// Diagnosed on what is seen, measured on what is held out.
template <class Data>
void compare_all(const Arguments& a, const Model& model, const TokenizerModel& tokenizer,
                 const Calibration& calibration, const Data& seen, const SweptWindows& held_out, Sweep& sweep) {
  DiagnoseOptions options = planning_diagnosis(a.target, a.scheme);
  options.kinds = {ComponentKind::kTensor, ComponentKind::kEmbed, ComponentKind::kLmHead};
  options.joint = false;
  options.compute.threads = a.threads;
  const Diagnosis diagnosis = diagnose(model, calibration, seen, options);
  fmt::print("{}: {} isolated on {} windows, measured on {}\n", model.source().name, a.scheme,
             swept_windows(seen).scored.size(), held_out.scored.size());
  fmt::print("component x group: p = {:.3g}\n", diagnosis.group_profiles->p);
  const DamageTable table = damage_table(model, diagnosis);
  for (const std::string& budget : a.budgets)
    compare(a, budget, model, tokenizer, calibration, table, window_groups(held_out), sweep);
}

void run(Arguments a) {
  a.threads = resolve_threads({.threads = a.threads});
  const Model model = load_model(a.model);
  if (a.target.empty()) a.target = model.config().is_language_model() ? "llama.cpp" : "huggingface";
  if (a.scheme.empty()) a.scheme = find_target(a.target).four_bit_schemes.front();
  const std::unique_ptr<Engine> engine = make_engine({.threads = a.threads});
  if (!model.config().is_language_model()) {
    const LabelledImages images = read_labelled_images(a.data, class_names_of(model));
    const AnswerData seen = half_of(model, images, false, a.windows);
    const AnswerData held_out = half_of(model, images, true, a.held_out);
    const Calibration calibration = calibrate_vision(model, seen.inputs, {.threads = a.threads});
    VisionSweep sweep(*engine, model, held_out, ComputeType::kFloat32);
    return compare_all(a, model, {}, calibration, seen, swept_windows(held_out), sweep);
  }
  const TokenizerModel tokenizer_model = load_tokenizer_of(a.model);
  const Tokenizer tokenizer(tokenizer_model);
  const std::vector<Document> documents = read_documents(a.data);
  const auto windows = [&](bool odd, int64_t count) {
    return balanced_windows(document_windows(tokenizer, odd ? "odd documents" : "even documents",
                                             half_of(documents, odd), {.context = a.context}),
                            count);
  };
  const EvaluationData seen = windows(false, a.windows), held_out = windows(true, a.held_out);
  const std::unique_ptr<Sweep> sweep = engine->sweep(model, held_out, ComputeType::kFloat32);
  compare_all(a, model, tokenizer_model, calibrate(model, seen), seen, swept_windows(held_out), *sweep);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("Whether a plan for the worst group helps it, on documents not seen");
  app.add_option("model", a.model)->required();
  app.add_option("data", a.data, "JSON lines with text and group, or a manifest of images")->required();
  app.add_option("budgets", a.budgets)->required();
  app.add_option("--scheme", a.scheme, "Of the isolated measurements");
  app.add_option("--target", a.target);
  app.add_option("--context", a.context);
  app.add_option("--windows", a.windows, "Or images, to diagnose on, shared by the groups");
  app.add_option("--held-out", a.held_out, "To measure on, shared by the groups");
  app.add_option("--draws", a.draws);
  app.add_option("--threads", a.threads);
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "group_plan_bench: {}\n", e.what());
    return 1;
  }
}
