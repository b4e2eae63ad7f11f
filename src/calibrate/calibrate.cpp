#include "vernier/calibrate.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.h"
#include "base/hash.h"
#include "base/shared_progress.h"
#include "calibrate/sum_in_order.h"
#include "engine/engine.h"
#include "model/language_model.h"

namespace vernier {

std::vector<float> Calibration::importance(const Model& model, const TensorId& id) const {
  const std::optional<SiteId> site = model.blueprint().at(id).input;
  if (!site) return {};
  const auto it = sites.find(*site);
  return it == sites.end() ? std::vector<float>{} : it->second.mean_square;
}

Calibration stack_of(const Calibration& calibration, Stack stack) {
  Calibration own = calibration;
  own.sites.clear();
  for (const auto& [site, statistics] : calibration.sites)
    if (site.stack == stack) own.sites[{site.site, site.layer, site.expert, Stack::kOnly}] = statistics;
  return own;
}

ActivationRanges activation_ranges(const Calibration& calibration) {
  ActivationRanges ranges;
  for (const auto& [site, channels] : calibration.sites)
    ranges[site] = channels.abs_max.empty() ? 0 : *std::max_element(channels.abs_max.begin(), channels.abs_max.end());
  return ranges;
}

Calibration calibrate(const Model& model, const EvaluationData& data, const ComputeOptions& compute,
                      ProgressSink* progress) {
  require_language_model(model.config(), model.source().name, "calibrate");
  const std::unique_ptr<Engine> engine = make_engine(compute);
  const auto fast = engine->prepare(model, {.type = compute.type, .positions = data.longest()});
  const auto count = static_cast<int64_t>(data.windows.size());
  if (progress != nullptr) progress->begin("calibrate", count, "windows");

  SumsOfSites total;
  Calibration calibration;
  std::vector<Sequence> sequences;
  for (const TokenWindow& window : data.windows) {
    sequences.push_back({window.tokens});
    calibration.tokens += static_cast<int64_t>(window.tokens.size());
    calibration.text.push_back({window.tokens, data.clusters[static_cast<size_t>(window.cluster)].part});
  }
  SharedProgress shared(progress, model.config().depth());
  const size_t batch = sequences_at_once(model.config(), data.longest(), engine->workers());
  for (size_t first = 0; first < sequences.size(); first += batch)
    fast->add_site_sums(std::span(sequences).subspan(first, std::min(batch, sequences.size() - first)), total,
                        [&](int64_t layers) { shared.add(layers); });
  if (progress != nullptr) progress->end();

  calibration.model_hash = model_hash(model);
  calibration.data_name = data.name;
  calibration.data_hash = data.hash;
  calibration.windows = count;
  for (const TensorSpec& tensor : model.blueprint().tensors())  // an expert that no token took was fed nothing
    if (tensor.input && total[*tensor.input].squares.empty())
      total[*tensor.input].resize(static_cast<size_t>(tensor.shape[1]));
  for (const auto& [site, sums] : total)
    calibration.sites[site] = statistics_of(sums, static_cast<double>(calibration.tokens));
  return calibration;
}

std::string calibration_hash(const Calibration& calibration) {
  Hasher hasher;
  hasher.add(fmt::format("{} {} {} {}", calibration.model_hash, calibration.data_hash, calibration.windows,
                         calibration.tokens));
  for (const auto& [site, channel] : calibration.sites) {
    hasher.add(name_of(site));
    for (const auto* values : {&channel.mean_square, &channel.mean_abs, &channel.abs_max})
      hasher.add(std::as_bytes(std::span(*values)));
  }
  return hasher.hex();
}

void check_calibration(const Calibration& calibration, const Model& model) {
  if (const std::string hash = model_hash(model); calibration.model_hash != hash)
    fail(ErrorKind::kInvalidArgument, "calibration of another model (hash {}, expected {}); calibrate this one first",
         calibration.model_hash, hash);
  const ModelConfig* seeing = model.config().find_stack(model.config().stacks.empty() ? Stack::kOnly : Stack::kImage);
  if (calibration.images.defined() && seeing != nullptr && seeing->reads_images()) {
    const PatchConfig& patches = seeing->patches;
    const std::vector<int64_t> expected{patches.channels, patches.image_size, patches.image_size};
    if (calibration.images.sizes().slice(1) != at::IntArrayRef(expected))
      fail(ErrorKind::kInvalidArgument,
           "calibration: images of {} x {} x {}, expected {} x {} x {}; calibrate the model again",
           calibration.images.size(1), calibration.images.size(2), calibration.images.size(3), expected[0], expected[1],
           expected[2]);
  }
  for (const TensorId& id : model.matrices()) {
    const std::vector<float> importance = calibration.importance(model, id);
    const auto columns = static_cast<size_t>(model.shape(id)[1]);
    if (importance.size() != columns && model.blueprint().at(id).input)
      fail(ErrorKind::kInvalidArgument, "calibration: {}: expected {} channels, got {}", name_of(id), columns,
           importance.size());
  }
}

}  // namespace vernier
