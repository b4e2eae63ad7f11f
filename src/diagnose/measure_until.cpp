#include "diagnose/measure_until.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/shared_progress.h"
#include "diagnose/damage.h"
#include "diagnose/task_runner.h"
#include "engine/engine.h"

namespace vernier {

namespace {

/// Where the rounds end: 4, 8, 16 ... and all.
std::vector<int64_t> rounds_of(int64_t first, int64_t windows) {
  std::vector<int64_t> ends;
  for (int64_t end = std::max<int64_t>(first, 2); end < windows; end *= 2) ends.push_back(end);
  ends.push_back(windows);
  return ends;
}

/// So many windows in an order whose every prefix is spread over all: by the bits of their number from the last to the
/// first.
std::vector<size_t> spread_order(size_t windows) {
  std::vector<size_t> order;
  size_t size = 1;
  while (size < windows) size *= 2;
  for (size_t i = 0; i < size; ++i) {
    size_t reversed = 0;
    for (size_t bit = 1, mirror = size / 2; bit < size; bit *= 2, mirror /= 2)
      if (i & bit) reversed |= mirror;
    if (reversed < windows) order.push_back(reversed);
  }
  return order;
}

}  // namespace

SequentialResult measure_until(const Model& model, const QuantizedWeights& quantized, const Sweepable& data,
                               const std::vector<Component>& components, const MeasureUntilOptions& options,
                               const std::function<bool(const Component&, const ConfidenceInterval&)>& settled,
                               ProgressSink* progress) {
  const std::vector<size_t> order = spread_order(data.windows.clusters.size());
  const std::vector<int64_t> ends = rounds_of(options.first_windows, static_cast<int64_t>(order.size()));
  SequentialResult result;
  std::map<Component, std::vector<DamageSums>> sums;
  for (const Component& c : components) result.components.push_back({{c, 0, {}, {}, {}}, 0, {}});

  const std::unique_ptr<Engine> engine = make_engine(options.compute);
  std::vector<Component> open = components;
  int64_t first = 0;
  bool has_controls = false;  // one layer's, in the first round: twice what few components of a layer take
  for (const int64_t end : ends) {
    const int64_t work = static_cast<int64_t>(open.size()) * (end - first);
    if (open.empty() || (options.may_go_on && !options.may_go_on(work))) break;
    const std::vector<size_t> round(order.begin() + first, order.begin() + end);
    const std::unique_ptr<Sweep> sweep = data.sweep(*engine, round, options.compute.type);
    TaskRunner runner(model, quantized, *sweep, some_of(data.windows, round));
    SharedProgress shared(progress);
    if (progress != nullptr) progress->begin("measure", work, "component windows");
    const int last_layer = std::max_element(open.begin(), open.end(), [](const Component& a, const Component& b) {
                             return a.layer < b.layer;
                           })->layer;
    for (const DiagnosisTask& task : diagnosis_tasks(model.config(), open)) {
      if (task.components.empty()) {
        if (task.layer < last_layer) runner.skip(task);
        continue;
      }
      const bool controlled = task.layer >= 0 && !has_controls;
      has_controls |= controlled;
      const TaskSums found =
          runner.measure(task, controlled ? Controls::kAll : Controls::kNone, [&](int64_t done) { shared.add(done); });
      for (size_t i = 0; i < task.components.size(); ++i) {
        std::vector<DamageSums>& own = sums[task.components[i]];
        own.insert(own.end(), found.components[i].begin(), found.components[i].end());
      }
      result.control_kl = std::max(result.control_kl, found.control_kl);
    }
    if (progress != nullptr) progress->end();
    first = end;

    const std::vector<int64_t> clusters = some_of(data.windows, {order.begin(), order.begin() + end}).clusters;
    const auto distinct = static_cast<int64_t>(std::set<int64_t>(clusters.begin(), clusters.end()).size());
    for (SequentialDamage& one : result.components) {
      const Component& c = one.damage.component;
      if (std::find(open.begin(), open.end(), c) == open.end()) continue;
      one.damage = component_damage(model, c, clusters, sums.at(c));
      one.windows = end;
      one.kl = interval_over_looks(one.damage.kl, distinct, static_cast<int>(ends.size()), options.confidence);
      if (settled(c, one.kl)) std::erase(open, c);
    }
  }
  return result;
}

}  // namespace vernier
