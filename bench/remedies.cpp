// remedies MODEL --plan NAME=plan.json [--plan NAME=plan.json ...] --data TRAIN --groups HELD_OUT: everything that may keep a
// group from being left behind, side by side at the same bytes.
//
// Each plan (uniform, mixed, for the worst group, with more bits where that group is hurt ...) as it is, calibrated on
// examples as they come and on as many of every group. For the first plan also what training does: with rounding in the loop
// and what may be added to it, and before rounding, with and without a penalty on the gradient. Mean over seeds with a 95%
// interval (Student's t). --part K/N as in mitigation.

#include "training_study.h"
#include "vernier/planning.h"

namespace vernier {

namespace {

/// A way to train; `own` begins as the options on the command line.
struct Remedy {
  const char* name;
  bool before_rounding = false;  ///< trained without rounding, and rounded afterwards
  void (*change)(FinetuneOptions& own);
};

constexpr double kGradientL1 = 1e-3, kDroppedBits = 0.1;

constexpr Remedy kRemedies[] = {
    {"trained on, then rounded", true,
     [](FinetuneOptions& o) {
       o.loss = "cross-entropy";
       o.cutmix = 0;  // images with parts of others have no label
     }},
    {"the same with gradient l1 (2002.07520)", true,
     [](FinetuneOptions& o) {
       o.loss = "cross-entropy";
       o.cutmix = 0;
       o.gradient_l1 = kGradientL1;
       o.kernel_attention = false;  // has no second derivative
     }},
    {"rounding in the loop", false, [](FinetuneOptions&) {}},
    {"... balanced sampling", false, [](FinetuneOptions& o) { o.sampling = "balanced"; }},
    {"... group DRO (1911.08731)", false,
     [](FinetuneOptions& o) {
       o.sampling = "balanced";
       o.weighting = "group-dro";
     }},
    {"... bits dropped (as 2109.02100)", false, [](FinetuneOptions& o) { o.drop_bits = kDroppedBits; }},
    {"... singular values alone (2407.15508)", false, [](FinetuneOptions& o) { o.singular_band = 1; }},
};

class RemedyTable {
 public:
  explicit RemedyTable(TrainingStudy& study) : study_(study), table_(header()) {}

  void add(const std::string& name, const Json& what, const std::function<Model(uint64_t seed)>& make) {
    std::vector<Outcome> outcomes;
    for (int64_t seed = 1; seed <= study_.seeds; ++seed)
      outcomes.push_back(study_.outcome(fmt::format("{}, seed {}", name, seed), {{"seed", seed}, {"of", what}},
                                        [&] { return make(static_cast<uint64_t>(seed)); }));
    Json row = {{"name", name}};
    std::vector<std::string> texts{name};
    for (const OutcomeFigure& figure : kOutcomeFigures) {
      std::vector<double> values;
      for (const Outcome& outcome : outcomes) values.push_back(outcome.*figure.value);
      row[figure.key] = values;
      texts.push_back(with_half_width(values));
    }
    table_.add(texts);
    rows_.push_back(row);
  }

  void finish() const {
    if (study_.missing() > 0) {
      fmt::print(stderr, "remedies: other parts make {} more; the table is printed once all are there\n",
                 study_.missing());
      return;
    }
    fmt::print("{}", table_.str());
    study_.write({{"remedies", rows_}});
  }

 private:
  static std::vector<std::string> header() {
    std::vector<std::string> texts{"remedy"};
    for (const OutcomeFigure& figure : kOutcomeFigures) texts.emplace_back(figure.title);
    return texts;
  }
  TrainingStudy& study_;
  TextTable table_;
  Json rows_ = Json::array();
};

void add_trained(const TrainingStudy& study, const Plan& plan, RemedyTable& table) {
  const Plan exact = plan_uniform(study.model(), "f32", "huggingface");
  for (const Remedy& remedy : kRemedies) {
    FinetuneOptions own = study.options;
    remedy.change(own);
    const Json what = {
        {"trained", plan_to_json(plan)}, {"in_loop", !remedy.before_rounding}, {"by", finetune_options_to_json(own)}};
    table.add(remedy.name, what, [&](uint64_t seed) {
      own.seed = seed;
      if (remedy.before_rounding) own.activations = Activations::kExact;
      return remedy.before_rounding ? study.rounded(study.trained_exactly(exact, own), plan) : study.trained(plan, own);
    });
  }
}

/// Half of what is learned is what the model writes itself.
void add_self_written(const TrainingStudy& study, const Plan& plan, RemedyTable& table) {
  if (!study.model().config().is_language_model()) return;
  const Json what = {{"trained", plan_to_json(plan)}, {"self_written", study.learned().size()}};
  table.add("... and self-written text (2305.17888)", what, [&](uint64_t seed) {
    FinetuneOptions own = study.options;
    own.seed = seed;
    const TrainingData written =
        self_written_text(study.model(), study.learned(), study.learned().size(), 8, "uniform", seed, own.compute);
    return study.trained(plan, own, &written);
  });
}

void run_remedies(TrainingStudy& study, const std::vector<std::string>& named) {
  study.load();
  RemedyTable table(study);
  std::optional<Plan> first;
  for (const std::string& text : named) {
    const size_t at = text.find('=');
    if (at == std::string::npos) fail(ErrorKind::kInvalidArgument, "--plan {}: expected NAME=plan.json", text);
    const std::string name = text.substr(0, at), path = text.substr(at + 1);
    const Plan plan = plan_from_json(read_json(path), path);
    if (!first) first = plan;
    for (const std::string sampling : {"uniform", "balanced"})
      table.add(fmt::format("{}, {} calibration", name, sampling == "uniform" ? "natural" : sampling),
                {{"plan", plan_to_json(plan)}, {"method", study.method}, {"calibration", sampling}},
                [&](uint64_t seed) { return study.quantized(plan, sampling, seed); });
  }
  add_trained(study, *first, table);
  add_self_written(study, *first, table);
  table.finish();
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  using namespace vernier;
  CLI::App app("What keeps groups from being left behind, side by side", "remedies");
  TrainingStudy study;
  std::vector<std::string> plans;
  study.add_options(app);
  app.add_option("--plan", plans, "NAME=plan.json; the first one is trained")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    run_remedies(study, plans);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "remedies: {}\n", e.what());
    return 1;
  }
}
