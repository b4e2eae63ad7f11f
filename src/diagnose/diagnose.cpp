#include "vernier/diagnose.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <memory>

#include "base/hash.h"
#include "base/shared_progress.h"
#include "diagnose/checkpoint.h"
#include "diagnose/damage.h"
#include "diagnose/group_profiles.h"
#include "diagnose/merge.h"
#include "diagnose/task_runner.h"
#include "diagnose/whole_model.h"
#include "engine/engine.h"
#include "engine/vision_sweep.h"
#include "model/language_model.h"

namespace vernier {

namespace {

/// What the numbers of a sweep depend on.
std::string checkpoint_key(const Diagnosis& d, const Model& model, const Calibration& calibration,
                           const DiagnoseOptions& options, const std::vector<Component>& components,
                           const WindowGroups& groups) {
  Hasher key;
  for (const std::string& part : {d.model_hash, d.data_hash, d.scheme}) key.add(part);
  key.add(fmt::format("{} {}", static_cast<int>(options.compute.type), fmt::join(options.candidates, " ")));
  for (const Component& c : components) key.add(name_of(c));
  for (const std::string& group : groups.names) key.add("group " + group);
  // The calibration by what it says: its text does not tell how it was made.
  for (const TensorId& id : model.matrices()) {
    const std::vector<float> importance = calibration.importance(model, id);
    key.add(std::as_bytes(std::span(importance)));
  }
  return key.hex();
}

/// Additivity compares the joint damage with the sum over all that was changed.
bool every_matrix_measured(const Diagnosis& d, const Model& model) {
  const std::vector<TensorId> matrices = model.matrices();
  return std::all_of(matrices.begin(), matrices.end(),
                     [&](const TensorId& id) { return d.find(component_of(id)) != nullptr; });
}

}  // namespace

const ComponentDamage* Diagnosis::find(const Component& component) const {
  for (const ComponentDamage& damage : components)
    if (damage.component == component) return &damage;
  return nullptr;
}

namespace {

/// What both kinds of data are to a diagnosis.
struct SweptData {
  std::string name, hash;
  SweptWindows windows;
  int64_t scored = 0;
  std::string unit;
  std::function<std::unique_ptr<Sweep>(const Engine&)> sweep;
  std::function<double(Sweep&)> noise_floor;
};

Diagnosis diagnose_on(const Model& model, const Calibration& calibration, const SweptData& data,
                      const DiagnoseOptions& options, ProgressSink* progress) {
  check_calibration(calibration, model);
  const QuantizedWeights quantized(model, calibration, options, resolve_threads(options.compute));
  Diagnosis d;
  d.model_hash = model_hash(model);
  d.calibration_hash = calibration_hash(calibration);
  d.data_name = data.name;
  d.data_hash = data.hash;
  d.scheme = Scheme::parse(options.scheme).name();
  d.windows = static_cast<int64_t>(data.windows.clusters.size());
  d.tokens = data.scored;
  d.unit = data.unit;
  d.fallbacks = quantized.fallback_lines();

  const std::vector<Component> components = components_of(model.config(), options.kinds);
  const WindowGroups groups = window_groups(data.windows);
  const SweepCheckpoint checkpoint(options.checkpoint,
                                   checkpoint_key(d, model, calibration, options, components, groups), progress,
                                   groups.unit_tokens.size());
  const std::unique_ptr<Engine> engine = make_engine(options.compute);
  const std::unique_ptr<Sweep> sweep = data.sweep(*engine);
  d.noise_floor_kl = data.noise_floor(*sweep);

  SharedProgress shared(progress);
  if (progress != nullptr)
    progress->begin("diagnose", static_cast<int64_t>(components.size()) * d.windows, "component windows");
  std::vector<std::vector<double>> unit_kl;
  TaskRunner runner(model, quantized, *sweep, data.windows);
  for (const DiagnosisTask& task : diagnosis_tasks(model.config(), components)) {
    std::optional<DiagnosisPart> part = checkpoint.load(task);
    if (part) {
      runner.skip(task);
      shared.add(static_cast<int64_t>(task.components.size()) * d.windows);
    } else {
      part = runner.run(task, [&](int64_t done) { shared.add(done); });
      checkpoint.save(task, *part);
    }
    std::move(part->unit_kl.begin(), part->unit_kl.end(), std::back_inserter(unit_kl));
    add_part(d, std::move(*part));
  }
  if (progress != nullptr) progress->end();

  if (options.joint && every_matrix_measured(d, model))
    add_joint(d, joint_damage(model, quantized, *sweep, data.windows.clusters));
  add_summaries(d);
  d.groups = diagnosed_groups(data.windows, groups);
  std::vector<Component> measured;
  for (const ComponentDamage& c : d.components) measured.push_back(c.component);
  if (!groups.names.empty()) d.group_profiles = group_profiles(groups, measured, unit_kl);
  return d;
}

}  // namespace

Diagnosis diagnose(const Model& model, const Calibration& calibration, const EvaluationData& data,
                   const DiagnoseOptions& options, ProgressSink* progress) {
  require_language_model(model.config(), model.source().name, "diagnose");
  const SweptData swept{.name = data.name,
                        .hash = data.hash,
                        .windows = swept_windows(data),
                        .scored = data.scored_tokens(),
                        .unit = "token",
                        .sweep = [&](const Engine& engine) { return engine.sweep(model, data, options.compute.type); },
                        .noise_floor = [&](Sweep& sweep) { return noise_floor(model, sweep, data); }};
  return diagnose_on(model, calibration, swept, options, progress);
}

Diagnosis diagnose(const Model& model, const Calibration& calibration, const AnswerData& data,
                   const DiagnoseOptions& options, ProgressSink* progress) {
  check_answer_data(model, data, "diagnose");
  const SweptData swept{.name = data.inputs.name,
                        .hash = data.inputs.hash,
                        .windows = swept_windows(data),
                        .scored = data.inputs.images,
                        .unit = "image",
                        .sweep =
                            [&](const Engine& engine) {
                              return std::make_unique<VisionSweep>(engine, model, data, options.compute.type);
                            },
                        .noise_floor = [&](Sweep& sweep) { return noise_floor(model, sweep, data); }};
  return diagnose_on(model, calibration, swept, options, progress);
}

}  // namespace vernier
