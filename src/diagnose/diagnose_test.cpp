#include "vernier/diagnose.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/json.h"
#include "base/output_file.h"
#include "diagnose/weight_facts.h"
#include "engine/fused_sweep.h"
#include "model/requantize.h"
#include "support/cancelling_sink.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "support/warnings.h"
#include "vernier/quantize_tensor.h"

namespace vernier {
namespace {

using Role = TensorRole;

const Scheme kScheme = Scheme::parse("int3:channel:sym");  // coarse: damage far above rounding

/// What a sweep of the kind tensor measures: neither the embedding nor the output matrix.
size_t layer_matrices(const Model& model) { return 7 * model.config().layers.size(); }

/// The definition of isolated quantization, slice by slice on whole tensors: W' = W + M (Q(W) - W).
Model isolated(const Model& model, const Component& c) {
  const ModelConfig& config = model.config();
  Model copy(config, model.source());
  for (const TensorId& id : model.tensors()) {
    const at::Tensor w = model.weight(id).to(at::kFloat).clone();
    copy.set_weight(id, w);
    if (!is_matrix(id.role)) continue;
    const at::Tensor q = quantize_values(kScheme, w, {}, 1, name_of(id));
    const auto rows = [&](int64_t first, int64_t count) { w.narrow(0, first, count).copy_(q.narrow(0, first, count)); };
    const auto columns = [&](int64_t first, int64_t count) {
      w.narrow(1, first, count).copy_(q.narrow(1, first, count));
    };
    const int64_t d = config.layer(0).attention.head_dim;
    const bool here = id.layer == c.layer;
    const bool attention =
        id.role == Role::kAttnQ || id.role == Role::kAttnK || id.role == Role::kAttnV || id.role == Role::kAttnOutput;
    switch (c.kind) {
      case ComponentKind::kHead:
        if (here && id.role == Role::kAttnQ) rows(c.index * d, d);
        if (here && id.role == Role::kAttnOutput) columns(c.index * d, d);
        break;
      case ComponentKind::kKvHead:
        if (here && (id.role == Role::kAttnK || id.role == Role::kAttnV)) rows(c.index * d, d);
        break;
      case ComponentKind::kFfn:
        if (here && !attention) w.copy_(q);
        break;
      case ComponentKind::kTensor:
        if (here && id.role == c.role && id.expert == c.expert) w.copy_(q);
        break;
      case ComponentKind::kExpert:
        if (here && id.expert == c.index) w.copy_(q);
        break;
      case ComponentKind::kRouter:
        if (here && id.role == Role::kRouter) w.copy_(q);
        break;
      case ComponentKind::kLayer:
        if (here) w.copy_(q);
        break;
      case ComponentKind::kEmbed:
        if (id.role == Role::kTokenEmbedding) w.copy_(q);
        break;
      case ComponentKind::kLmHead:
        if (id.role == Role::kOutput) w.copy_(q);
        break;
    }
  }
  return copy;
}

/// A fixture, or one whose first layer has no window while the others keep theirs.
Model model_named(const std::string& name) {
  if (name != "mixed_windows") return fixture_model(name);
  const Model model = fixture_model("mistral_sliding");
  ModelConfig config = model.config();
  config.layers[0].attention.window = 0;
  Model mixed(config, model.source());
  for (const TensorId& id : model.tensors()) mixed.set_weight(id, model.weight(id));
  return mixed;
}

class IsolatedDamage : public ::testing::TestWithParam<std::string> {};

// Every component of every kind against a full forward of the model with just that slice replaced. A wrong slice index
// (a head's rows or columns, a KV head's group) fails here.
TEST_P(IsolatedDamage, EqualsAFullForwardWithTheSliceReplaced) {
  const Model model = model_named(GetParam());
  const EvaluationData data = made_up_windows(2, 40, 320);
  DiagnoseOptions options;
  options.scheme = kScheme.name();
  options.compute.threads = 2;
  const Diagnosis d = diagnose(model, calibration_of(model), data, options);
  EXPECT_EQ(d.control_kl, 0) << "quantizing nothing must change nothing";
  EXPECT_LT(d.noise_floor_kl, 1e-9);
  EXPECT_GT(d.components.size(), 30u);
  for (const ComponentDamage& damage : d.components) {
    const Model changed = isolated(model, damage.component);
    double kl = 0, delta = 0, tokens = 0, same_top = 0, difference = 0;
    for (const TokenWindow& window : data.windows) {
      const at::Tensor p = exact_log_p(model, window), q = exact_log_p(changed, window);
      const double own = (p.exp() * (p - q)).sum().item<double>();
      kl += own;
      difference = own - difference;  // between the two windows
      same_top += p.argmax(1).eq(q.argmax(1)).sum().item<double>();
      for (int64_t r = 0; r < window.scored(); ++r, ++tokens) {
        const int64_t label = window.tokens[static_cast<size_t>(window.first_row + r + 1)];
        delta += (p[r][label] - q[r][label]).item<double>();
      }
    }
    // float32 activations: 1e-6 relative in the logits, which a KL this large feels at 1e-4.
    EXPECT_NEAR(damage.kl.mean, kl / tokens, 2e-4 * kl / tokens + 1e-9) << name_of(damage.component);
    EXPECT_NEAR(damage.delta_nll.mean, delta / tokens, 1e-4) << name_of(damage.component);
    // Two windows of equally many tokens: the standard error of their mean is half their difference.
    EXPECT_NEAR(damage.kl.standard_error, std::abs(difference) / tokens, 4e-4 * kl / tokens + 1e-9)
        << name_of(damage.component);
    // A near-tie may fall either way in float32.
    EXPECT_NEAR(damage.same_top.mean, same_top / tokens, 1.01 / tokens) << name_of(damage.component);
  }
}

INSTANTIATE_TEST_SUITE_P(MixedWindows, IsolatedDamage, ::testing::Values("mixed_windows"));
INSTANTIATE_TEST_SUITE_P(Models, IsolatedDamage, ::testing::ValuesIn(fixture_names()),
                         [](const auto& info) { return info.param; });

TEST(Diagnose, JointDamageAndAdditivity) {
  const Model model = fixture_model("llama");
  const EvaluationData data = made_up_windows(2, 40, 320);
  DiagnoseOptions options;
  options.scheme = "int8:channel";  // mild, so that damages add
  const Diagnosis d = diagnose(model, calibration_of(model), data, options);
  EXPECT_EQ(d.calibration_hash, calibration_hash(calibration_of(model)));
  ASSERT_TRUE(d.joint_kl);
  EXPECT_GT(d.sum_isolated_kl, 0);
  EXPECT_NEAR(d.additivity_ratio, d.joint_kl->mean / d.sum_isolated_kl, 1e-12);
  EXPECT_GT(d.additivity_ratio, 0.5);
  EXPECT_LT(d.additivity_ratio, 2);
}

TEST(Diagnose, SpreadAndRankCorrelationComeFromTheComponents) {
  const Model model = fixture_model("qwen2");
  DiagnoseOptions options;
  options.scheme = "int4:g32:asym";
  options.candidates = {"int8:channel", "gguf:q8_0"};
  const Diagnosis d = diagnose(model, calibration_of(model), made_up_windows(2, 32, 320), options);
  ASSERT_EQ(d.differential_bias.size(), 5u);
  const DifferentialBias& heads = d.differential_bias[0];
  EXPECT_EQ(heads.count, 12);
  EXPECT_DOUBLE_EQ(heads.range, heads.max - heads.min);
  EXPECT_DOUBLE_EQ(heads.coefficient_of_variation, heads.standard_deviation / heads.mean);
  ASSERT_EQ(d.rank_correlation.size(), 4u);
  for (const RankCorrelation& r : d.rank_correlation) EXPECT_EQ(r.count, 21);
  EXPECT_EQ(d.weight_facts.size(), model.matrices().size());
  for (const WeightFacts& facts : d.weight_facts) {
    EXPECT_EQ(facts.error_power.size(), 4u);
    EXPECT_EQ(facts.error_power.at("f32"), 0) << "as it is stored";
    EXPECT_GT(facts.error_power.at("int4:g32:asym"), facts.error_power.at("gguf:q8_0"));
    EXPECT_GT(facts.sqnr_db, 10);  // 4 bits: about 20 dB
    EXPECT_LT(facts.sqnr_db, 30);
  }
  const auto json = diagnosis_to_json(d);
  EXPECT_EQ(diagnosis_to_json(diagnosis_from_json(json, "x")).dump(), json.dump());
}

TEST(Diagnose, SchemesThatDoNotFitFallBackAndSaySo) {
  const Model model = fixture_model("llama");  // rows of 64 and 128: no K-quant fits
  DiagnoseOptions options;
  options.kinds = {ComponentKind::kTensor};
  const Diagnosis d = diagnose(model, calibration_of(model), made_up_windows(2, 32, 320), options);
  EXPECT_THAT(d.fallbacks, ::testing::SizeIs(2)) << "rows of 64 and of 128";
  EXPECT_THAT(d.fallbacks,
              ::testing::Each(::testing::HasSubstr("measured as gguf:q5_0: gguf:q4_k does not fit rows of ")));
  EXPECT_EQ(d.weight_facts.size(), layer_matrices(model));
  for (const WeightFacts& facts : d.weight_facts) EXPECT_EQ(facts.scheme, "gguf:q5_0");
}

// What a file stores already shows no damage, from which a planner could foretell nothing: the next coarser candidate is
// measured, and keeping the matrix is known to cost nothing.
TEST(Diagnose, AMatrixStoredInTheSchemeIsMeasuredInACoarserOne) {
  Model model = fixture_model("llama");
  for (const TensorId& id : model.matrices())
    model.set_stored(id, requantize(model, id, Scheme::parse("gguf:q5_0"), {}, 1));
  DiagnoseOptions options;
  options.kinds = {ComponentKind::kTensor};
  options.scheme = "gguf:q5_0";
  const Diagnosis kept = diagnose(model, calibration_of(model), made_up_windows(2, 32, 320), options);
  EXPECT_EQ(kept.components.size(), layer_matrices(model));
  for (const ComponentDamage& c : kept.components) EXPECT_EQ(c.kl.mean, 0) << name_of(c.component);
  options.candidates = {"gguf:q4_0", "gguf:q4_1", "gguf:q5_0", "gguf:q8_0"};
  const Diagnosis d = diagnose(model, calibration_of(model), made_up_windows(2, 32, 320), options);
  EXPECT_EQ(d.components.size(), layer_matrices(model));
  for (const ComponentDamage& c : d.components) EXPECT_GT(c.kl.mean, 0) << name_of(c.component);
  EXPECT_EQ(d.weight_facts.size(), layer_matrices(model));
  for (const WeightFacts& facts : d.weight_facts) {
    EXPECT_EQ(facts.scheme, "gguf:q4_1");
    EXPECT_EQ(facts.error_power.at("gguf:q5_0"), 0);
    EXPECT_GT(facts.error_power.at("gguf:q4_1"), 0);
  }
  EXPECT_THAT(d.fallbacks, ::testing::ElementsAre(::testing::HasSubstr("they are stored as gguf:q5_0 already")));
}

// Copies are no evidence: the error is over what differs.
TEST(Diagnose, CopiesOfAWindowTellNothing) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibration_of(model);
  EvaluationData data = made_up_windows(1, 24, 320);
  DiagnoseOptions options;
  options.scheme = kScheme.name();
  options.kinds = {ComponentKind::kFfn};
  const Diagnosis one = diagnose(model, calibration, data, options);
  for (int64_t w = 1; w < 4; ++w) {
    data.windows.push_back(data.windows[0]);
    data.windows.back().cluster = w;
    data.clusters.push_back({"", 0, 0});
  }
  const Diagnosis four = diagnose(model, calibration, data, options);
  ASSERT_EQ(one.components.size(), model.config().layers.size());
  ASSERT_EQ(four.components.size(), one.components.size());
  for (size_t i = 0; i < one.components.size(); ++i) {
    EXPECT_NEAR(four.components[i].kl.mean, one.components[i].kl.mean, 1e-12);
    EXPECT_TRUE(std::isnan(four.components[i].kl.standard_error)) << four.components[i].kl.standard_error;
  }
}

TEST(Diagnose, ResumesFromItsCheckpointToTheSameBytes) {
  const Model model = fixture_model("mistral_sliding");
  const Calibration calibration = calibration_of(model);
  const EvaluationData data = made_up_windows(2, 32, 320);
  const auto folder = scratch_path("vernier_sweep_checkpoint");
  std::filesystem::remove_all(folder);
  DiagnoseOptions options;
  options.scheme = kScheme.name();
  const std::string whole = diagnosis_to_json(diagnose(model, calibration, data, options)).dump();
  options.checkpoint = folder;
  EXPECT_EQ(diagnosis_to_json(diagnose(model, calibration, data, options)).dump(), whole);
  std::filesystem::remove(folder / "L1.json");  // as if killed in layer 1
  write_file(folder / "L2.json", "{ broken");
  Json foreign = read_json(folder / "L0.json");
  foreign["components"][3] = 7;
  write_json(folder / "L0.json", foreign);
  Warnings warnings;
  EXPECT_EQ(diagnosis_to_json(diagnose(model, calibration, data, options, &warnings)).dump(), whole);
  EXPECT_THAT(warnings.all, ::testing::ElementsAre(::testing::HasSubstr("L0.json"), ::testing::HasSubstr("L2.json")));
  warnings.all.clear();
  EXPECT_EQ(diagnosis_to_json(diagnose(model, calibration, data, options, &warnings)).dump(), whole);
  EXPECT_THAT(warnings.all, ::testing::IsEmpty());
  std::filesystem::remove_all(folder);
}

TEST(Diagnose, AnotherChoiceOfComponentsIsNotResumed) {
  const Model model = fixture_model("llama");
  const auto folder = scratch_path("vernier_sweep_kinds");
  std::filesystem::remove_all(folder);
  DiagnoseOptions options;
  options.checkpoint = folder;
  options.scheme = kScheme.name();
  for (const ComponentKind kind : {ComponentKind::kFfn, ComponentKind::kLayer}) {
    options.kinds = {kind};
    const Diagnosis d = diagnose(model, calibration_of(model), made_up_windows(2, 16, 320), options);
    EXPECT_EQ(d.components.size(), model.config().layers.size());
    for (const ComponentDamage& c : d.components) EXPECT_EQ(c.component.kind, kind);
    EXPECT_FALSE(d.joint_kl) << "all matrices against the sum of a few";
    EXPECT_EQ(d.control_kl, 0);
  }
  std::filesystem::remove_all(folder);
}

TEST(Diagnose, AMatrixThatIsStoredExactlySurvivesTheArtefact) {
  Model model = to_float32(fixture_model("llama"));
  const TensorId id{Role::kFfnDown, 1};
  model.set_weight(id, at::zeros_like(model.weight(id)));
  DiagnoseOptions options;
  options.kinds = {ComponentKind::kTensor};
  options.scheme = "int4:g32";
  const auto json = diagnosis_to_json(diagnose(model, calibration_of(model), made_up_windows(2, 16, 320), options));
  const std::string text = json.dump();
  const Diagnosis back = diagnosis_from_json(nlohmann::ordered_json::parse(text), "x");
  EXPECT_EQ(diagnosis_to_json(back).dump(), text);
  const auto facts = std::find_if(back.weight_facts.begin(), back.weight_facts.end(),
                                  [&](const WeightFacts& f) { return f.tensor == id; });
  ASSERT_NE(facts, back.weight_facts.end());
  EXPECT_TRUE(std::isinf(facts->sqnr_db));
}

TEST(Diagnose, ASinkThatThrowsCancels) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibration_of(model);
  DiagnoseOptions options;
  options.scheme = kScheme.name();
  options.kinds = {ComponentKind::kFfn};
  for (const int threads : {1, 2}) {
    options.compute.threads = threads;
    CancellingSink sink(2);
    EXPECT_THROW(diagnose(model, calibration, made_up_windows(9, 16, 320), options, &sink), Cancelled);
    EXPECT_EQ(sink.updates, 3);
    EXPECT_FALSE(sink.ended);
  }
}

TEST(Diagnose, ACalibrationOfAnotherModelIsRefused) {
  const Calibration other = calibration_of(fixture_model("qwen2"));
  expect_error(ErrorKind::kInvalidArgument, {"calibration of another model", other.model_hash},
               [&] { diagnose(fixture_model("llama"), other, made_up_windows(2, 32, 320)); });
}

TEST(WeightFacts, KnownDistributions) {
  const at::Tensor w = at::tensor(std::vector<float>{1, -1, 1, -1, 1, -1, 1, -1}).view({2, 4});
  const WeightFacts flat = weight_facts({Role::kAttnQ, 0}, w, w * 0.9, {});
  EXPECT_NEAR(flat.absmax_over_sigma, 1, 1e-6);
  EXPECT_NEAR(flat.excess_kurtosis, -2, 1e-6);
  EXPECT_NEAR(flat.sqnr_db, 20, 1e-4);
  EXPECT_NEAR(weighted_error_power(w, w * 0.9, {1, 2, 3, 4}), 0.01 * 2 * 10, 1e-6);
}

}  // namespace
}  // namespace vernier
