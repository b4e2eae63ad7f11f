#include "screen/screen_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/fail.h"
#include "base/statistics.h"
#include "screen/scales.h"

namespace vernier {

namespace {

/// What a float32 computation can say anyway; it keeps the file small.
double seven_digits(double value) {
  return std::isfinite(value) ? std::strtod(fmt::format("{:.7g}", value).c_str(), nullptr) : value;
}
Measured seven_digits(const Measured& m) { return {seven_digits(m.mean), seven_digits(m.standard_error)}; }

bool is_made(const Estimator& estimator, const ScreenOptions& options) {
  if (estimator.needs == "token rows") return options.kfac_rows > 0;
  if (estimator.needs == "Hessian probes") return options.hessian_probes > 0;
  return true;
}

}  // namespace

std::vector<Scheme> distinct_schemes(const std::vector<std::string>& names) {
  std::vector<Scheme> schemes;
  for (const std::string& name : names) {
    const Scheme scheme = Scheme::parse(name);
    if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end()) schemes.push_back(scheme);
  }
  if (schemes.empty()) fail(ErrorKind::kInvalidArgument, "screen: no scheme; name at least one, such as gguf:q4_k");
  return schemes;
}

void check_screen_options(const ScreenOptions& options) {
  if (options.compute.device != "cpu" && options.compute.device != "aten")
    fail(ErrorKind::kUnsupported, "screen: device {}: it runs on the CPU only; leave out --device",
         options.compute.device);
  if (options.compute.type != ComputeType::kFloat32)
    fail(ErrorKind::kUnsupported, "screen: gradients are computed in f32 only; leave out --dtype");
  if (options.kfac_rows < 0 || options.hessian_probes < 0 || options.memory_bytes < 0)
    fail(ErrorKind::kInvalidArgument, "screen: {} rows, {} probes, {} bytes of memory: expected none below 0",
         options.kfac_rows, options.hessian_probes, options.memory_bytes);
}

Screen begin_screen(const Model& model, const Calibration& calibration, const std::vector<Scheme>& schemes,
                    const ScreenOptions& options) {
  Screen s;
  s.model_hash = model_hash(model);
  s.calibration_hash = calibration_hash(calibration);
  s.seed = options.seed;
  s.labels = options.labels;
  s.kfac_rows = options.kfac_rows;
  s.hessian_probes = options.hessian_probes;
  for (const Scheme& scheme : schemes) s.schemes.push_back(scheme.name());
  s.components = components_of(model.config(), options.kinds);
  for (const Component& component : s.components) {
    int64_t parameters = 0;
    for (const WeightSlice& slice : slices_of(model.config(), component)) parameters += slice.size();
    s.parameters.push_back(parameters);
  }
  return s;
}

void add_domain(Screen& s, ScreenedDomain own, const std::vector<ScreenWindow>& windows,
                const std::vector<double>& label_nll, const ScreenedSums& sums) {
  const size_t domain = s.domains.size();
  std::map<int64_t, std::pair<double, double>> clusters;  // nll, tokens
  for (size_t w = 0; w < windows.size(); ++w) {
    if (windows[w].domain != domain) continue;
    auto& [nll, tokens] = clusters[windows[w].cluster];
    nll += label_nll[w];
    tokens += static_cast<double>(windows[w].scored);
  }
  std::vector<double> nll, tokens;
  for (const auto& [cluster, both] : clusters) {
    nll.push_back(both.first);
    tokens.push_back(both.second);
  }
  own.label_nll = seven_digits(ratio_estimate(nll, tokens));
  for (const auto& [kind, scale] :
       scales_of(s.components, s.schemes.size(), [&](size_t c, size_t scheme) { return sums(c, scheme, domain); }))
    own.scales[kind] = {seven_digits(scale.ratio), seven_digits(scale.used)};
  s.domains.push_back(std::move(own));
}

void fill_values(Screen& s, const ScreenedSums& sums, const ScreenOptions& options) {
  std::vector<const Estimator*> rows;
  for (const Estimator& estimator : estimators())
    if (is_made(estimator, options)) {
      rows.push_back(&estimator);
      s.estimators.emplace_back(estimator.key);
    }
  s.values.resize(rows.size() * s.domains.size() * s.schemes.size() * s.components.size());
  const Estimator& diagonal = *find_estimator("diagonal");
  for (size_t d = 0; d < s.domains.size(); ++d)
    for (size_t scheme = 0; scheme < s.schemes.size(); ++scheme)
      for (size_t c = 0; c < s.components.size(); ++c) {
        const ComponentSums own = sums(c, scheme, d);
        for (size_t e = 0; e < rows.size(); ++e) {
          const Measured value =
              rows[e]->estimate != nullptr
                  ? rows[e]->estimate(own)
                  : predicted_kl(s.domains[d].scales.at(std::string(kind_name(s.components[c].kind))),
                                 diagonal.estimate(own));
          s.values[s.value_index(e, d, scheme, c)] = seven_digits(value);
        }
      }
}

}  // namespace vernier
