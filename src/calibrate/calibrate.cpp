#include "vernier/calibrate.h"

#include <algorithm>

#include "base/fail.h"
#include "base/hash.h"
#include "model/fused_model.h"
#include "ops/kernels.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

struct Sums {
  std::vector<double> squares, magnitudes;
  std::vector<float> largest;

  void resize(size_t channels) {
    squares.assign(channels, 0);
    magnitudes.assign(channels, 0);
    largest.assign(channels, 0);
  }
  void add(const Sums& other) {
    for (size_t j = 0; j < squares.size(); ++j) {
      squares[j] += other.squares[j];
      magnitudes[j] += other.magnitudes[j];
      largest[j] = std::max(largest[j], other.largest[j]);
    }
  }
};

using SiteSums = std::map<SiteId, Sums>;

}  // namespace

std::vector<float> Calibration::importance(const Model& model, const TensorId& id) const {
  std::optional<SiteId> site;
  switch (id.role) {
    case TensorRole::kAttnQ:
    case TensorRole::kAttnK:
    case TensorRole::kAttnV: site = {Site::kAttnInput, id.layer}; break;
    case TensorRole::kAttnOutput: site = {Site::kAttnOutputInput, id.layer}; break;
    case TensorRole::kFfnGate:
    case TensorRole::kFfnUp: site = {Site::kFfnInput, id.layer}; break;
    case TensorRole::kFfnDown: site = {Site::kFfnDownInput, id.layer}; break;
    default:
      if (id == model.output_matrix()) site = {Site::kOutputInput, -1};
  }
  if (!site) return {};
  const auto it = sites.find(*site);
  return it == sites.end() ? std::vector<float>{} : it->second.mean_square;
}

Calibration calibrate(const Model& model, const EvaluationData& data, const ComputeOptions& compute,
                      ProgressSink* progress) {
  const int threads = resolve_threads(compute);
  const FusedModel fast(model, compute.type, data.longest());
  std::vector<Arena> arenas(static_cast<size_t>(threads));
  const auto count = static_cast<int64_t>(data.windows.size());
  if (progress != nullptr) progress->begin("calibrate", count, "windows");

  // Windows are summed on their own and then in their order, a batch at a time: the same bits with any number of
  // threads.
  SiteSums total;
  Calibration calibration;
  const int64_t batch = 4 * threads;
  for (int64_t first = 0; first < count; first += batch) {
    std::vector<SiteSums> partial(static_cast<size_t>(std::min(batch, count - first)));
    parallel_for(static_cast<int64_t>(partial.size()), threads, [&](int64_t i, int worker) {
      Arena& arena = arenas[static_cast<size_t>(worker)];
      const Arena::Scope scope(arena);
      SiteSums& sums = partial[static_cast<size_t>(i)];
      const SiteObserver observer = [&](Site site, int layer, const Slab& x) {
        Sums& s = sums[{site, layer}];
        if (s.squares.empty()) s.resize(static_cast<size_t>(x.cols));
        accumulate_columns(x, s.squares.data(), s.magnitudes.data(), s.largest.data());
      };
      fast.hidden(arena, data.windows[static_cast<size_t>(first + i)].tokens, 0, &observer);
    });
    for (size_t i = 0; i < partial.size(); ++i) {
      for (const auto& [site, sums] : partial[i]) {
        Sums& s = total[site];
        if (s.squares.empty()) s.resize(sums.squares.size());
        s.add(sums);
      }
      calibration.tokens += static_cast<int64_t>(data.windows[static_cast<size_t>(first) + i].tokens.size());
    }
    if (progress != nullptr) progress->update(std::min(count, first + batch));
  }
  if (progress != nullptr) progress->end();

  calibration.model_hash = model_hash(model);
  calibration.data_name = data.name;
  calibration.data_hash = data.hash;
  calibration.windows = count;
  for (const auto& [site, sums] : total) {
    ChannelStatistics& channel = calibration.sites[site];
    const auto tokens = static_cast<double>(calibration.tokens);
    for (size_t j = 0; j < sums.squares.size(); ++j) {
      channel.mean_square.push_back(static_cast<float>(sums.squares[j] / tokens));
      channel.mean_abs.push_back(static_cast<float>(sums.magnitudes[j] / tokens));
      channel.abs_max.push_back(sums.largest[j]);
    }
  }
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
  for (const TensorId& id : model.matrices()) {
    const std::vector<float> importance = calibration.importance(model, id);
    const auto columns = static_cast<size_t>(model.shape(id)[1]);
    const bool untied_embedding = id.role == TensorRole::kTokenEmbedding && !model.config().tied_embedding;
    if (importance.size() != columns && !untied_embedding)
      fail(ErrorKind::kInvalidArgument, "calibration: {}: expected {} channels, got {}", name_of(id), columns,
           importance.size());
  }
}

}  // namespace vernier
