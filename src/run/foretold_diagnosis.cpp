#include "run/foretold_diagnosis.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "diagnose/merge.h"
#include "diagnose/weight_facts.h"
#include "planning/depth_trend.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {

Measured mean_over_domains(const Screen& screen, const Component& component, const std::string& scheme) {
  Measured mean;
  double variance = 0;
  const auto domains = static_cast<double>(screen.domains.size());
  for (size_t d = 0; d < screen.domains.size(); ++d) {
    const Measured& one = screen.at(component, scheme, "predicted_kl", d);
    mean.mean += one.mean / domains;
    variance += one.standard_error * one.standard_error / (domains * domains);
  }
  mean.standard_error = std::sqrt(variance);
  return mean;
}

const ConfirmedMatrix* confirmed(const Confirmation& confirmation, const Component& component) {
  for (const ConfirmedMatrix& m : confirmation.matrices)
    if (component_of(m.tensor) == component) return &m;
  return nullptr;
}

/// What needs no forward pass; error powers come from the screen, which quantized the matrix in every scheme.
WeightFacts facts_of(const Model& model, const Calibration& calibration, const ScreenedMatrix& matrix, size_t scheme) {
  const at::Tensor weight = model.weight(matrix.tensor).to(at::kFloat);
  WeightFacts facts = weight_facts(matrix.tensor, weight, weight, {});
  facts.rows = matrix.rows;
  facts.cols = matrix.cols;
  facts.scheme = matrix.errors[scheme].scheme;
  facts.sqnr_db = matrix.errors[scheme].sqnr_db;
  for (const MatrixError& error : matrix.errors) facts.error_power[error.scheme] = error.kept ? 0 : error.error_power;
  const double noise = facts.error_power.at(facts.scheme);
  const double signal =
      weighted_error_power(weight, at::zeros_like(weight), calibration.importance(model, matrix.tensor));
  facts.weighted_sqnr_db = noise > 0 ? 10 * std::log10(signal / noise) : INFINITY;
  return facts;
}

}  // namespace

Diagnosis foretold_diagnosis(const Model& model, const Calibration& calibration, const Screen& screen,
                             const Confirmation& confirmation, const std::string& scheme) {
  const std::string name = Scheme::parse(scheme).name();
  const auto place = std::find(screen.schemes.begin(), screen.schemes.end(), name);
  if (place == screen.schemes.end())
    fail(ErrorKind::kInvalidArgument, "diagnose: the screen has no {}, only {}", name, fmt::join(screen.schemes, ", "));
  Diagnosis d;
  d.model_hash = screen.model_hash;
  d.calibration_hash = screen.calibration_hash;
  d.scheme = name;
  if (!model.config().is_language_model()) d.unit = "image";
  d.noise_floor_kl = NAN;
  d.control_kl = confirmation.control_kl;
  std::vector<std::string> names, hashes;
  for (const ScreenedDomain& domain : screen.domains) {
    names.push_back(domain.data_name);
    hashes.push_back(domain.data_hash);
    d.windows += domain.windows;
    d.tokens += domain.tokens;
  }
  d.data_name = fmt::format("{}", fmt::join(names, " + "));
  d.data_hash = fmt::format("{}", fmt::join(hashes, " "));
  const Depths depths(model);
  for (size_t i = 0; i < screen.components.size(); ++i) {
    ComponentDamage damage;
    damage.component = screen.components[i];
    damage.parameters = screen.parameters[i];
    damage.delta_nll = damage.same_top = {NAN, NAN};
    if (const ConfirmedMatrix* exact = confirmed(confirmation, damage.component)) {
      damage.kl = exact->exact;
      damage.delta_nll = exact->delta_nll;
      damage.same_top = exact->same_top;
    } else {
      damage.foretold = true;
      damage.kl = mean_over_domains(screen, damage.component, name);
      if (damage.component.layer >= 0) {
        const double factor = confirmation.factor * std::exp(confirmation.factor_slope *
                                                             depths.of(damage.component.stack, damage.component.layer));
        damage.kl.mean *= factor;
        damage.kl.standard_error *= factor;
      }
    }
    d.components.push_back(damage);
  }
  for (const ScreenedMatrix& matrix : screen.matrices)
    d.weight_facts.push_back(facts_of(model, calibration, matrix, static_cast<size_t>(place - screen.schemes.begin())));
  add_spreads(d);
  return d;
}

}  // namespace vernier
