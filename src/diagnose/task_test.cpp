#include "diagnose/task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "base/json.h"
#include "diagnose/damage.h"
#include "diagnose/merge.h"
#include "diagnose/task_runner.h"
#include "engine/engine.h"
#include "support/models.h"

namespace vernier {
namespace {

TEST(DiagnosisTasks, HoldEveryComponentOnceInTheOrderInWhichTheyAreMeasured) {
  for (const std::string& name : fixture_names()) {
    const Model model = fixture_model(name);
    const std::vector<Component> wanted = components_of(model.config(), all_component_kinds());
    std::vector<Component> held;
    std::vector<TensorId> matrices;
    for (const DiagnosisTask& task : diagnosis_tasks(model.config(), wanted)) {
      held.insert(held.end(), task.components.begin(), task.components.end());
      matrices.insert(matrices.end(), task.matrices.begin(), task.matrices.end());
    }
    EXPECT_EQ(held, wanted) << name;
    EXPECT_EQ(matrices, model.matrices()) << name;
  }
}

// Two runners that share nothing, as two processes would: each skips what the other runs.
TEST(DiagnosisTasks, PartsOfSeveralRunnersMakeTheSameDiagnosis) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(2, 32, model.config().vocabulary);
  const Calibration calibration = calibrate(model, data);
  DiagnoseOptions options;
  options.scheme = "int3:channel:sym";
  options.joint = false;
  const Diagnosis whole = diagnose(model, calibration, data, options);

  const QuantizedWeights quantized(model, calibration, options, 1);
  const std::unique_ptr<Engine> engine = make_engine(options.compute);
  const std::unique_ptr<Sweep> sweeps[] = {engine->sweep(model, data, ComputeType::kFloat32),
                                           engine->sweep(model, data, ComputeType::kFloat32)};
  const SweptWindows windows = swept_windows(data);
  TaskRunner runners[] = {{model, quantized, *sweeps[0], windows}, {model, quantized, *sweeps[1], windows}};
  Diagnosis merged = whole;
  merged.components.clear();
  merged.weight_facts.clear();
  merged.differential_bias.clear();
  merged.rank_correlation.clear();
  merged.control_kl = 0;
  size_t number = 0;
  for (const DiagnosisTask& task : diagnosis_tasks(model.config(), components_of(model.config(), options.kinds))) {
    const size_t runs = number++ % 2;
    int64_t done = 0;
    add_part(merged, runners[runs].run(task, [&](int64_t count) { done += count; }));
    runners[1 - runs].skip(task);
    EXPECT_EQ(done, static_cast<int64_t>(task.components.size() * data.windows.size())) << task.name;
  }
  ASSERT_GT(number, 2u);
  add_summaries(merged);
  EXPECT_EQ(diagnosis_to_json(merged), diagnosis_to_json(whole));
}

// Rows that force two schemes make two clouds: within each SQNR says nothing here, over both it would seem to.
TEST(Summaries, CorrelationsAreAmongMatricesQuantizedAlike) {
  Diagnosis d;
  int number = 0;
  for (const auto& [scheme, sqnr, kl] : {std::tuple("a", 20., 1.),
                                         {"a", 21., 2.},
                                         {"a", 22., 2.},
                                         {"a", 23., 1.},
                                         {"b", 40., .01},
                                         {"b", 41., .02},
                                         {"b", 42., .02},
                                         {"b", 43., .01}}) {
    WeightFacts facts;
    facts.tensor = {TensorRole::kAttnQ, number++};
    facts.scheme = scheme;
    facts.sqnr_db = sqnr;
    facts.absmax_over_sigma = kl;
    d.weight_facts.push_back(facts);
    ComponentDamage damage;
    damage.component = component_of(facts.tensor);
    damage.kl.mean = kl;
    d.components.push_back(damage);
  }
  add_summaries(d);
  std::map<std::string, RankCorrelation> found;
  for (const RankCorrelation& r : d.rank_correlation) found[r.fact] = r;
  ASSERT_TRUE(found.contains("sqnr_db"));
  EXPECT_NEAR(found["sqnr_db"].spearman, 0, 1e-12);
  EXPECT_NEAR(found["absmax_over_sigma"].spearman, 1, 1e-12);
  EXPECT_EQ(found["sqnr_db"].count, 8);
}

}  // namespace
}  // namespace vernier
