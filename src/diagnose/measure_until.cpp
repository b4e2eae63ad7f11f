#include "diagnose/measure_until.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

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

/// The same windows so that each prefix is spread over all: by the bits of their number from the last to the first.
std::vector<TokenWindow> spread_order(const std::vector<TokenWindow>& windows) {
  std::vector<TokenWindow> order;
  size_t size = 1;
  while (size < windows.size()) size *= 2;
  for (size_t i = 0; i < size; ++i) {
    size_t reversed = 0;
    for (size_t bit = 1, mirror = size / 2; bit < size; bit *= 2, mirror /= 2)
      if (i & bit) reversed |= mirror;
    if (reversed < windows.size()) order.push_back(windows[reversed]);
  }
  return order;
}

}  // namespace

SequentialResult measure_until(const Model& model, const QuantizedWeights& quantized, const EvaluationData& data,
                               const std::vector<Component>& components, const MeasureUntilOptions& options,
                               const std::function<bool(const Component&, const ConfidenceInterval&)>& settled,
                               ProgressSink* progress) {
  const auto all = static_cast<int64_t>(data.windows.size());
  const std::vector<int64_t> ends = rounds_of(options.first_windows, all);
  EvaluationData seen = data;
  seen.windows = spread_order(data.windows);
  const std::vector<TokenWindow> order = seen.windows;
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
    EvaluationData round = data;
    round.windows.assign(order.begin() + first, order.begin() + end);
    const std::unique_ptr<Sweep> sweep = engine->sweep(model, round, options.compute.type);
    TaskRunner runner(model, quantized, *sweep, swept_windows(round));
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

    seen.windows.assign(order.begin(), order.begin() + end);
    const std::vector<int64_t> clusters = swept_windows(seen).clusters;
    for (SequentialDamage& one : result.components) {
      const Component& c = one.damage.component;
      if (std::find(open.begin(), open.end(), c) == open.end()) continue;
      one.damage = component_damage(model, c, clusters, sums.at(c));
      one.windows = end;
      one.kl = interval_over_looks(one.damage.kl, end, static_cast<int>(ends.size()), options.confidence);
      if (settled(c, one.kl)) std::erase(open, c);
    }
  }
  return result;
}

}  // namespace vernier
