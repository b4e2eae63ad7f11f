#include "vernier/screen.h"

#include <ATen/ATen.h>
#include <algorithm>

#include "base/fail.h"
#include "base/shared_progress.h"
#include "engine/require_finite.h"
#include "model/language_model.h"
#include "screen/embedding_pass.h"
#include "screen/layer_pass.h"
#include "screen/output_pass.h"
#include "screen/screen_frame.h"
#include "screen/streams.h"
#include "screen/vocabulary_limit.h"

namespace vernier {

namespace {

constexpr int64_t kHessianTokens = 128;  // of a window: a double backward keeps several times the forward's states

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

PassSize size_of(const Model& model, const std::vector<ScreenWindow>& windows) {
  return pass_size(model.config(), windows, /*batch=*/1, static_cast<int64_t>(windows.size()));
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

int64_t least_screen_memory(const Model& model, const std::vector<ScreenText>& domains, const ScreenOptions& options) {
  return least_memory(size_of(model, windows_of(domains)), options);
}

Screen screen(const Model& model, const Calibration& calibration, const std::vector<ScreenText>& domains,
              const ScreenOptions& options, ProgressSink* progress) {
  require_language_model(model.config(), model.source().name, "screen");
  check_screen_options(options);
  check_domains(model, domains);
  check_calibration(calibration, model);
  require_finite(model);
  const std::vector<Scheme> schemes = distinct_schemes(options.schemes);
  Screen s = begin_screen(model, calibration, schemes, options);
  const int threads = resolve_threads(options.compute);
  int64_t longest = 0;
  for (const ScreenText& domain : domains) longest = std::max(longest, domain.data.longest());
  const AtenModel aten(model, longest, AtenModel::Place{at::kCPU, at::kFloat, /*layer_by_layer=*/true});
  const SchemeErrors errors(model, calibration, schemes, threads);
  ScreenSums sums(model.config(), s.components, windows_of(domains), schemes.size(), options.kfac_rows > 0);
  const MemoryShares memory = share_memory(size_of(model, sums.windows()), options, threads, progress);
  ChannelTable channels(sums.windows());
  if (options.limit) s.limit = begin_limit(model, domains, sums);
  const ScreenPass pass{model,
                        aten,
                        errors,
                        options,
                        threads,
                        memory,
                        sums,
                        s.matrices,
                        options.channels ? &channels : nullptr,
                        s.limit ? &*s.limit : nullptr};

  const auto windows = static_cast<int64_t>(sums.windows().size());
  if (progress != nullptr) progress->begin("screen", 2 * windows * model.config().depth(), "layer windows");
  SharedProgress shared(progress);
  const LayerTick tick = [&] { shared.add(1); };
  Streams streams(model, aten, sums.windows(), memory, tick);
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
  const ScreenedSums by_place = [&](size_t component, size_t scheme, size_t domain) {
    return sums.of(component, scheme, domain);
  };
  for (const ScreenText& text : domains)
    add_domain(s,
               {text.name,
                text.data.name,
                text.data.hash,
                static_cast<int64_t>(text.data.windows.size()),
                text.data.scored_tokens(),
                {},
                {}},
               sums.windows(), label_nll, by_place);
  fill_values(s, by_place, options);
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
