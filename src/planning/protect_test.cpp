// What is kept beside a quantized model, against masks made by hand.

#include "vernier/protect.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/json.h"
#include "planning/protected_pieces.h"
#include "scheme/fitting.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "vernier/error.h"
#include "vernier/quantize_tensor.h"

namespace vernier {
namespace {

constexpr const char* kScheme = "int2:g32:asym";

struct Protectable {
  Model model = fixture_model("llama");
  EvaluationData data = made_up_windows(3, 24, 320);
  Calibration calibration = calibrate(model, data);
  Screen screened =
      screen(model, calibration, {{"own", data}}, {.schemes = {kScheme}, .kfac_rows = 0, .channels = true});
};

TEST(Protect, EverythingProtectedIsTheModelAndRecoveryIsOfKl) {
  const Protectable p;
  ProtectOptions options{.scheme = kScheme, .units = {"matrix", "column"}, .shares = {0.05, 20}, .random_draws = 2};
  options.compute.threads = 1;
  const Protection all = protect(p.model, p.calibration, p.screened, p.data, options);
  EXPECT_GT(all.base_kl.mean, 0);
  ASSERT_EQ(all.curves.size(), 4u + 5u) << "none is chosen exactly where nothing was measured";
  for (const ProtectionCurve& curve : all.curves) {
    ASSERT_EQ(curve.points.size(), 2u);
    EXPECT_LE(curve.points[0].added_bytes, 0.05 * static_cast<double>(all.base_bytes)) << curve.chosen_by;
    EXPECT_NEAR(curve.points[0].recovery, 1 - curve.points[0].kl.mean / all.base_kl.mean, 1e-9);
    if (curve.unit == "matrix") {
      EXPECT_GT(curve.points[1].recovery, 0.9999) << "but for 16 bits";
    } else {
      EXPECT_GT(curve.points[1].recovery, 0) << "of the layers only";
    }
  }
  const Json json = protection_to_json(all);
  EXPECT_EQ(json["curves"].size(), all.curves.size());
  EXPECT_EQ(json["curves"][0]["points"][1]["added_bytes"], all.curves[0].points[1].added_bytes);
}

std::vector<ProtectableMatrix> matrices_of(const Protectable& p) {
  std::vector<ProtectableMatrix> all;
  for (const TensorId& id : p.model.matrices()) {
    if (id.layer < 0) continue;
    ProtectableMatrix m;
    m.id = id;
    m.weight = p.model.weight(id).to(at::kFloat).contiguous();
    m.scheme = fitting_scheme(Scheme::parse(kScheme), m.weight.size(0), m.weight.size(1));
    const std::vector<float> importance = p.calibration.importance(p.model, id);
    m.mean_square = at::tensor(importance);
    m.error = quantize_values(m.scheme, m.weight, importance, 1, "") - m.weight;
    for (const ChannelScores& scores : p.screened.channels)
      if (scores.tensor == id) m.channels = &scores;
    all.push_back(std::move(m));
  }
  return all;
}

TEST(Protect, PiecesComeInTheOrderOfTheirScores) {
  const Protectable p;
  const std::vector<ProtectableMatrix> matrices = matrices_of(p);
  // Columns by E[x^2] |error|^2 per byte, one after the other.
  std::vector<double> scores;
  for (const ProtectableMatrix& m : matrices)
    for (int64_t col = 0; col < m.weight.size(1); ++col) {
      double sum = 0;
      for (int64_t row = 0; row < m.weight.size(0); ++row) sum += std::pow(m.error[row][col].item<double>(), 2);
      scores.push_back(sum * m.mean_square[col].item<double>() / (2.0 * static_cast<double>(m.weight.size(0)) + 4));
    }
  std::ranges::sort(scores, std::greater<>());
  const std::vector<ProtectedPiece> columns = ordered_pieces(p.model, matrices, {"column", "error"}, 0, 0);
  ASSERT_EQ(columns.size(), scores.size());
  for (size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(columns[i].rank / scores[i], 1, 1e-4);
  // The largest single weights of all matrices.
  const std::vector<ProtectedPiece> weights = ordered_pieces(p.model, matrices, {"weight", "magnitude"}, 400, 0);
  double smallest_taken = INFINITY;
  for (size_t i = 0; i < 100; ++i) {
    const ProtectedCells& cell = weights[i].cells[0];
    const double size = std::fabs(matrices[cell.matrix].weight[cell.row][cell.col].item<double>());
    EXPECT_EQ(size, weights[i].rank);
    smallest_taken = std::min(smallest_taken, size);
  }
  int64_t larger = 0;
  for (const ProtectableMatrix& m : matrices) larger += (m.weight.abs() > smallest_taken).sum().item<int64_t>();
  EXPECT_LT(larger, 100);
  // A feature is a channel of a site: the same column of every matrix that reads it, by the largest input.
  const std::vector<ProtectedPiece> features = ordered_pieces(p.model, matrices, {"feature", "activation"}, 0, 0);
  for (const ProtectedCells& cells : features[0].cells) {
    EXPECT_EQ(cells.col, features[0].cells[0].col);
    EXPECT_EQ(p.model.blueprint().at(matrices[cells.matrix].id).input,
              p.model.blueprint().at(matrices[features[0].cells[0].matrix].id).input);
    EXPECT_EQ(matrices[cells.matrix].channels->abs_max[static_cast<size_t>(cells.col)], features[0].rank);
  }
}

TEST(Protect, TheKneeIsFarthestAboveTheChord) {
  const auto points = [](std::vector<double> recoveries) {
    std::vector<ProtectionPoint> all;
    for (size_t i = 0; i < recoveries.size(); ++i)
      all.push_back({.added_bytes = 100 * (i + 1), .recovery = recoveries[i]});
    return all;
  };
  EXPECT_EQ(knee_of(points({0.5, 0.8, 0.9, 1.0})), 2u);
  EXPECT_EQ(knee_of(points({0.25, 0.5, 0.75, 1.0})), 0u) << "straight";
  EXPECT_EQ(knee_of(points({-0.1, -0.2})), 0u);
  EXPECT_EQ(knee_of({}), 0u);
}

TEST(Protect, RefusesAScreenOfAnotherSchemeAndUnknownUnits) {
  const Protectable p;
  expect_error(ErrorKind::kInvalidArgument, {"int3:channel:sym", "channels"},
               [&] { protect(p.model, p.calibration, p.screened, p.data, {.scheme = "int3:channel:sym"}); });
  expect_error(ErrorKind::kInvalidArgument, {"rows", "matrix, column, weight or feature"},
               [&] { protect(p.model, p.calibration, p.screened, p.data, {.scheme = kScheme, .units = {"rows"}}); });
  expect_error(ErrorKind::kInvalidArgument, {"share"},
               [&] { protect(p.model, p.calibration, p.screened, p.data, {.scheme = kScheme, .shares = {0}}); });
}

}  // namespace
}  // namespace vernier
