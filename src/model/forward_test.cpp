// Parity with Hugging Face transformers on tiny models of every family, for both forwards.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "engine/aten_model.h"
#include "engine/fused_model.h"
#include "format/safetensors_file.h"
#include "support/models.h"
#include "vernier/error.h"
#include "vernier/model.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

at::Tensor golden(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsEntry& entry = file.read(name);
  at::Tensor t = at::empty(entry.shape, entry.dtype == DType::kI64 ? at::kLong : at::kFloat);
  std::memcpy(t.data_ptr(), entry.data.data(), entry.data.size());
  return t;
}

double relative_error(const at::Tensor& a, const at::Tensor& b) { return ((a - b).norm() / b.norm()).item<double>(); }

/// What transformers calls the parameter: as files do, but experts are stacked, gate over up.
std::string parameter_name(const TensorSpec& spec) {
  const auto in_layer = [&](const char* part) { return fmt::format("model.layers.{}.mlp.{}", spec.id.layer, part); };
  if (spec.id.role == TensorRole::kRouter) return in_layer("gate.weight");
  if (spec.id.expert < 0) return spec.hugging_face.name;
  return in_layer(spec.id.role == TensorRole::kFfnDown ? "experts.down_proj" : "experts.gate_up_proj");
}

class Parity : public ::testing::TestWithParam<std::string> {
 protected:
  fs::path folder_ = fs::path(VERNIER_SOURCE_DIR) / "tests/fixtures/models" / GetParam();
  Model model_ = load_model(folder_.string());
  SafetensorsFile golden_{folder_ / "golden.safetensors"};
};

// 3 layers of float32 with 64 channels: rounding gives about 1e-6, and a wrong formula 1e-2 or more.
constexpr double kLogitTolerance = 2e-5;

TEST_P(Parity, DifferentiableLogits) {
  const at::Tensor logits = forward_logits(model_, golden(golden_, "input_ids"));
  const double error = relative_error(logits, golden(golden_, "logits"));
  EXPECT_LT(error, kLogitTolerance);
  RecordProperty("relative_error", std::to_string(error));
}

TEST_P(Parity, FusedLogits) {
  const at::Tensor ids = golden(golden_, "input_ids");
  const FusedModel fast(model_, ComputeType::kFloat32, ids.size(1));
  Arena arena;
  for (int64_t b = 0; b < ids.size(0); ++b) {
    const Arena::Scope scope(arena);
    std::vector<int32_t> tokens;
    for (int64_t t = 0; t < ids.size(1); ++t) tokens.push_back(static_cast<int32_t>(ids[b][t].item<int64_t>()));
    const Slab logits = fast.logits(arena, fast.hidden(arena, tokens, 0));
    const at::Tensor mine = at::from_blob(logits.data, {logits.rows, logits.cols}, at::kFloat);
    EXPECT_LT(relative_error(mine, golden(golden_, "logits")[b]), kLogitTolerance);
    // Only later rows asked for: the same values, whatever the alignment of the first one.
    for (const int64_t first_row : {1, 17, 32}) {
      const Slab rest = fast.logits(arena, fast.hidden(arena, tokens, first_row));
      const at::Tensor part = at::from_blob(rest.data, {rest.rows, rest.cols}, at::kFloat);
      EXPECT_LT(relative_error(part, mine.narrow(0, first_row, rest.rows)), 1e-6) << "first row " << first_row;
    }
  }
}

TEST_P(Parity, LossAndGradientNorms) {
  const Model leaves = to_float32(model_, /*requires_grad=*/true);
  const at::Tensor loss = language_model_loss(leaves, golden(golden_, "input_ids"));
  EXPECT_NEAR(loss.item<double>(), golden(golden_, "loss").item<double>(), 1e-5);
  loss.backward();
  std::map<std::string, double> squares;  // of each stored tensor, which may be several here
  for (const TensorSpec& spec : leaves.blueprint().tensors())
    squares[parameter_name(spec)] += leaves.weight(spec.id).grad().square().sum().item<double>();
  for (const auto& [name, square] : squares) {
    const double expected = golden(golden_, "grad_norm." + name).item<double>(), got = std::sqrt(square);
    // The key bias shifts all scores of a query alike: its true gradient is 0, what is left is rounding.
    if (name.ends_with("k_proj.bias") && expected < 1e-5)
      EXPECT_LT(got, 1e-5) << name;
    else
      EXPECT_NEAR(got / expected, 1, 1e-3) << name;
  }
  const std::vector<SafetensorsEntry>& entries = golden_.entries();
  const auto norms = std::count_if(entries.begin(), entries.end(),
                                   [](const SafetensorsEntry& e) { return e.name.starts_with("grad_norm."); });
  EXPECT_EQ(static_cast<int64_t>(squares.size()), norms) << "every tensor of the model that the fixture was made of";
}

INSTANTIATE_TEST_SUITE_P(HuggingFace, Parity, ::testing::ValuesIn(fixture_names()),
                         [](const auto& info) { return info.param; });

TEST(AtenModel, DifferentiatesTwice) {
  const Model leaves =
      to_float32(load_model((fs::path(VERNIER_SOURCE_DIR) / "tests/fixtures/models/qwen3").string()), true);
  const at::Tensor ids = at::arange(3, 19).unsqueeze(0);
  const at::Tensor weight = leaves.weight({TensorRole::kAttnQ, 1});
  // vᵀHv by differentiating twice against a central difference of the gradient along v.
  const at::Tensor v = at::ones_like(weight) / std::sqrt(static_cast<double>(weight.numel()));
  const auto gradient = [&](bool graph) {
    weight.mutable_grad() = at::Tensor();
    language_model_loss(leaves, ids).backward({}, graph, graph);
    return weight.grad();
  };
  const at::Tensor first = (gradient(true) * v).sum();
  weight.mutable_grad() = at::Tensor();
  first.backward();
  const double exact = (weight.grad() * v).sum().item<double>();
  const auto shifted = [&](double step) {
    const c10::NoGradGuard no_grad;
    weight.add_(v, step);
  };
  constexpr double kStep = 0.02;
  shifted(kStep);
  const double above = (gradient(false) * v).sum().item<double>();
  shifted(-2 * kStep);
  const double below = (gradient(false) * v).sum().item<double>();
  EXPECT_NEAR((above - below) / (2 * kStep), exact, 0.02 * std::abs(exact) + 1e-5);
}

}  // namespace
}  // namespace vernier
