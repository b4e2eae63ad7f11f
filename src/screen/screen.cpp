#include "vernier/screen.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/fail.h"
#include "base/shared_progress.h"
#include "base/statistics.h"
#include "engine/require_finite.h"
#include "model/language_model.h"
#include "screen/embedding_pass.h"
#include "screen/layer_pass.h"
#include "screen/output_pass.h"
#include "screen/scales.h"
#include "screen/streams.h"
#include "screen/vocabulary_limit.h"

namespace vernier {

namespace {

constexpr int64_t kHessianTokens = 128;  // of a window: a double backward keeps several times the forward's states

std::vector<Scheme> schemes_of(const std::vector<std::string>& names) {
  std::vector<Scheme> schemes;
  for (const std::string& name : names) {
    const Scheme scheme = Scheme::parse(name);
    if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end()) schemes.push_back(scheme);
  }
  if (schemes.empty()) fail(ErrorKind::kInvalidArgument, "screen: no scheme; name at least one, such as gguf:q4_k");
  return schemes;
}

void check_domains(const Model& model, const std::vector<ScreenText>& domains) {
  if (domains.empty()) fail(ErrorKind::kInvalidArgument, "screen: no text; give at least one domain");
  std::set<std::string> names;
  for (const ScreenText& domain : domains) {
    if (domain.name.empty() || domain.name.find('.') != std::string::npos || !names.insert(domain.name).second)
      fail(ErrorKind::kInvalidArgument,
           "screen: domain \"{}\": expected a name of its own, without dots; choose another one", domain.name);
    if (domain.data.windows.empty())
      fail(ErrorKind::kInvalidArgument, "screen: domain {}: no windows; give it more text", domain.name);
    for (const TokenWindow& window : domain.data.windows) {
      if (window.scored() < 1)
        fail(ErrorKind::kInvalidArgument, "screen: domain {}: a window without scored tokens", domain.name);
      for (const int32_t token : window.tokens)
        if (token < 0 || token >= model.config().vocabulary)
          fail(ErrorKind::kInvalidArgument, "screen: domain {}: token {}: expected 0 to {}; wrong tokenizer?",
               domain.name, token, model.config().vocabulary - 1);
    }
  }
}

void check_options(const ScreenOptions& options) {
  if (options.compute.device != "cpu" && options.compute.device != "aten")
    fail(ErrorKind::kUnsupported, "screen: device {}: it runs on the CPU only; leave out --device",
         options.compute.device);
  if (options.compute.type != ComputeType::kFloat32)
    fail(ErrorKind::kUnsupported, "screen: gradients are computed in f32 only; leave out --dtype");
  if (options.kfac_rows < 0 || options.hessian_probes < 0 || options.memory_bytes < 1)
    fail(ErrorKind::kInvalidArgument, "screen: {} rows, {} probes, {} bytes: expected none below 0 and some memory",
         options.kfac_rows, options.hessian_probes, options.memory_bytes);
}

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

void fill_values(Screen& s, const ScreenSums& sums, const ScreenOptions& options) {
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
        const ComponentSums own = sums.of(c, scheme, d);
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

ScreenedDomain domain_of(const ScreenText& text, size_t domain, const ScreenSums& sums,
                         const std::vector<double>& label_nll, size_t schemes) {
  ScreenedDomain own{text.name,
                     text.data.name,
                     text.data.hash,
                     static_cast<int64_t>(text.data.windows.size()),
                     text.data.scored_tokens(),
                     {},
                     {}};
  std::map<int64_t, std::pair<double, double>> clusters;  // nll, tokens
  for (size_t w = 0; w < sums.windows().size(); ++w) {
    const ScreenWindow& window = sums.windows()[w];
    if (window.domain != domain) continue;
    auto& [nll, tokens] = clusters[window.cluster];
    nll += label_nll[w];
    tokens += static_cast<double>(window.window->scored());
  }
  std::vector<double> nll, tokens;
  for (const auto& [cluster, both] : clusters) {
    nll.push_back(both.first);
    tokens.push_back(both.second);
  }
  own.label_nll = seven_digits(ratio_estimate(nll, tokens));
  for (const auto& [kind, scale] : scales_of(sums, schemes, domain))
    own.scales[kind] = {seven_digits(scale.ratio), seven_digits(scale.used)};
  return own;
}

/// Without matrices yet. All domains together are its text.
Limit begin_limit(const Model& model, const std::vector<ScreenText>& domains, const ScreenSums& sums) {
  for (const TensorId& id : model.matrices())
    if (!sums.has(id))
      fail(ErrorKind::kInvalidArgument,
           "screen: the limit is of all matrices, and {} is in no component; leave the kinds "
           "of components as they are",
           name_of(id));
  Limit limit;
  for (const ScreenText& domain : domains) limit.tokens += domain.data.scored_tokens();
  return limit;
}

void add_hessians(const Model& model, const std::vector<ScreenText>& domains, const ScreenOptions& options,
                  ScreenSums& sums) {
  std::map<TensorId, SliceGrid> grids;
  for (const TensorId& id : model.matrices())
    if (sums.has(id)) grids.emplace(id, sums.grid(id));
  for (size_t d = 0; d < domains.size(); ++d)
    sums.add_hessian(
        d, hessian_probes(model, domains[d].data, grids, options.hessian_probes, kHessianTokens, options.seed));
}

}  // namespace

Screen screen(const Model& model, const Calibration& calibration, const std::vector<ScreenText>& domains,
              const ScreenOptions& options, ProgressSink* progress) {
  require_language_model(model.config(), model.source().name, "screen");
  check_options(options);
  check_domains(model, domains);
  check_calibration(calibration, model);
  require_finite(model);
  const std::vector<Scheme> schemes = schemes_of(options.schemes);
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

  const int threads = resolve_threads(options.compute);
  int64_t longest = 0;
  for (const ScreenText& domain : domains) longest = std::max(longest, domain.data.longest());
  const AtenModel aten(model, longest, AtenModel::Place{at::kCPU, at::kFloat, /*layer_by_layer=*/true});
  const SchemeErrors errors(model, calibration, schemes, threads);
  ScreenSums sums(model.config(), s.components, windows_of(domains), schemes.size(), options.kfac_rows > 0);
  ChannelTable channels(sums.windows());
  if (options.limit) s.limit = begin_limit(model, domains, sums);
  const ScreenPass pass{model,
                        aten,
                        errors,
                        options,
                        threads,
                        sums,
                        s.matrices,
                        options.channels ? &channels : nullptr,
                        s.limit ? &*s.limit : nullptr};

  const auto windows = static_cast<int64_t>(sums.windows().size());
  if (progress != nullptr) progress->begin("screen", 2 * windows * model.config().depth(), "layer windows");
  SharedProgress shared(progress);
  const LayerTick tick = [&] { shared.add(1); };
  Streams streams(model, aten, sums.windows(), threads, options.memory_bytes, tick);
  OutputGradients output = output_gradients(pass, streams.finals());
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& state : output.states) gradients.push_back(state.unsqueeze(0));
  output.states.clear();
  const std::vector<double> label_nll = output.label_nll;
  for (int layer = model.config().depth() - 1; layer >= 0; --layer)
    add_layer(pass, layer, streams.entering(layer), gradients, tick);
  add_vocabulary_limit(pass, streams.finals(), output.label_squares, gradients);
  add_embeddings(pass, streams.finals(), std::move(output), gradients);
  if (options.hessian_probes > 0) add_hessians(model, domains, options, sums);
  if (progress != nullptr) progress->end();

  std::sort(s.matrices.begin(), s.matrices.end(),
            [](const ScreenedMatrix& a, const ScreenedMatrix& b) { return comes_before(a.tensor, b.tensor); });
  if (s.limit)
    std::sort(s.limit->matrices.begin(), s.limit->matrices.end(), [](const DamageSpectrum& a, const DamageSpectrum& b) {
      return comes_before(parse_tensor(a.tensor), parse_tensor(b.tensor));
    });
  for (size_t d = 0; d < domains.size(); ++d)
    s.domains.push_back(domain_of(domains[d], d, sums, label_nll, schemes.size()));
  fill_values(s, sums, options);
  if (options.channels) s.channels = channels.scores(schemes.size());
  return s;
}

const Measured* Screen::find(const Component& component, std::string_view scheme, std::string_view estimator,
                             size_t domain) const {
  const auto place = [](const auto& all, const auto& wanted) {
    return static_cast<size_t>(std::find(all.begin(), all.end(), wanted) - all.begin());
  };
  const size_t e = place(estimators, estimator), s = place(schemes, scheme), c = place(components, component);
  if (e == estimators.size() || s == schemes.size() || c == components.size() || domain >= domains.size())
    return nullptr;
  return &values[value_index(e, domain, s, c)];
}

const Measured& Screen::at(const Component& component, std::string_view scheme, std::string_view estimator,
                           size_t domain) const {
  if (const Measured* value = find(component, scheme, estimator, domain)) return *value;
  fail(ErrorKind::kInvalidArgument, "screen: no {} of {} under {} in domain {}; screen again with it", estimator,
       name_of(component), scheme, domain);
}

}  // namespace vernier
