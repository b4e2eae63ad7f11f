#include "finetune/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/counter_random.h"
#include "base/fail.h"
#include "base/json.h"
#include "engine/device.h"
#include "finetune/batch_forward.h"
#include "finetune/checkpoint_file.h"
#include "finetune/curve_json.h"
#include "finetune/gradient_l1.h"
#include "finetune/group_losses.h"
#include "finetune/losses.h"
#include "finetune/mixed_arithmetic.h"
#include "finetune/moved_images.h"
#include "finetune/sampling.h"
#include "finetune/schedule.h"
#include "finetune/weighting.h"
#include "vernier/version.h"

namespace vernier {

namespace {

using TrainingClock = std::chrono::steady_clock;
constexpr uint64_t kDropping = ~uint64_t{0}, kMoving = kDropping - 1;  // places that no draw of examples reaches

WeightingFacts weighting_facts(const TrainingData& data, const FinetuneOptions& options) {
  WeightingFacts facts{.dro_rate = options.dro_rate, .cvar_share = options.cvar_share};
  facts.group_examples.resize(data.groups.size());
  for (const int32_t group : data.group) ++facts.group_examples[static_cast<size_t>(group)];
  for (const int32_t label : data.labels) {
    const auto at = static_cast<size_t>(label);
    if (facts.class_examples.size() <= at) facts.class_examples.resize(at + 1);
    ++facts.class_examples[at];
  }
  return facts;
}

class Trainer {
 public:
  Trainer(const TrainerSetup& setup, ProgressSink* progress)
      : s_(setup),
        o_(setup.options),
        progress_(progress),
        device_(device_named(o_.compute.device)),
        threads_(resolve_threads(o_.compute)),
        loss_(find_loss(o_.loss)),
        objective_(find_objective(o_.objective)),
        weighting_(find_weighting(o_.weighting).make(weighting_facts(s_.learned, o_))),
        sampler_(find_sampling(o_.sampling), s_.learned.group, s_.learned.groups.size(), o_.seed),
        model_(s_.source, s_.start, s_.schemes, s_.importances,
               {.device = device_,
                .learn_scales = o_.learn_scales,
                .weight_decay = o_.weight_decay,
                .held = s_.held,
                .singular_band = o_.singular_band}) {}

  TrainerResult run() {
    const c10::AutoGradMode with_gradients(true);
    const auto start = TrainingClock::now();
    if (progress_ != nullptr) progress_->begin(s_.stage, o_.steps, "steps");
    if (!restore()) begin();
    if (!s_.can_learn) curve_.stopped = "nothing to learn";
    while (step_ < o_.steps && curve_.stopped.empty()) {
      if (is_refit(step_)) model_.fit(threads_);
      one_step();
      ++step_;
      const bool is_evaluated = step_ % o_.evaluate_steps == 0 || step_ == o_.steps;
      if (is_evaluated || step_ % o_.recode_steps == 0) model_.recode(threads_);
      if (is_evaluated) {
        evaluate();
        if (is_out_of_patience()) curve_.stopped = "patience";
        save();
      }
      const std::chrono::duration<double> taken = TrainingClock::now() - start;
      if (o_.max_minutes > 0 && taken.count() > 60 * o_.max_minutes && step_ < o_.steps) {
        save();
        curve_.stopped = "minutes";  // after saving: who goes on later has not stopped
      }
      if (progress_ != nullptr) progress_->update(step_);
    }
    if (curve_.stopped.empty()) curve_.stopped = "steps";
    if (progress_ != nullptr) progress_->end();
    return {curve_, model_.model_of(best_)};
  }

 private:
  void begin() {
    model_.begin(threads_);
    optimizer_.emplace(model_.parameters());
    evaluate();
  }

  /// In the last fifth the scales stay, so that the weights settle on them.
  bool is_refit(int64_t step) const {
    return !o_.learn_scales && o_.refit_steps > 0 && step > 0 && step % o_.refit_steps == 0 && 5 * step < 4 * o_.steps;
  }

  /// Of draws from `first` on.
  at::Tensor batch_loss(int64_t first) {
    const std::vector<int64_t> examples = sampler_.draw(first, o_.batch);
    ExampleBatch batch = batch_of(s_.learned, examples, device_);
    if (s_.learned.pixels.defined() && (o_.shift > 0 || o_.mirror))
      batch.inputs = moved_images(batch.inputs, {o_.shift, o_.mirror}, random_bits(o_.seed, kMoving), first);
    const bool mixed = o_.compute.type == ComputeType::kBFloat16;
    Answered answered, teacher;
    const Model seen = model_.seen(dropping());
    {
      const MixedArithmetic arithmetic(mixed);
      if (loss_.needs_teacher) {
        const c10::NoGradGuard no_grad;
        teacher = batch_answers(s_.teacher, batch);
      }
      answered = beside(batch_answers(seen, batch, s_.inputs), teacher);
    }
    std::vector<int32_t> groups, classes;
    for (const int64_t i : examples) {
      groups.push_back(s_.learned.group[static_cast<size_t>(i)]);
      classes.push_back(s_.learned.labels.empty() ? -1 : s_.learned.labels[static_cast<size_t>(i)]);
    }
    return weighting_->combine(loss_.of_examples(answered), groups, classes);
  }

  /// Which matrices do without their outer levels in this step.
  std::function<bool(size_t)> dropping() const {
    if (o_.drop_bits <= 0) return {};
    const uint64_t own = random_bits(random_bits(o_.seed, kDropping), static_cast<uint64_t>(step_));
    return [own, share = o_.drop_bits](size_t entry) { return random_share(own, entry) < share; };
  }

  void one_step() {
    std::vector<at::Tensor> leaves;
    for (const AdamWParameter& parameter : optimizer_->parameters()) leaves.push_back(parameter.value);
    std::vector<at::Tensor> sum;
    double loss = 0;
    for (int64_t a = 0; a < o_.accumulate; ++a) {
      at::Tensor part = batch_loss((step_ * o_.accumulate + a) * o_.batch) / static_cast<double>(o_.accumulate);
      if (o_.gradient_l1 > 0) part = part + o_.gradient_l1 * gradient_l1(part, leaves);
      loss += part.item<double>();
      std::vector<at::Tensor> gradients = torch::autograd::grad({part}, leaves, {}, {},
                                                                /*create_graph=*/false, /*allow_unused=*/true);
      if (sum.empty()) {
        sum = std::move(gradients);
        continue;
      }
      for (size_t p = 0; p < sum.size(); ++p)
        if (gradients[p].defined()) sum[p] = sum[p].defined() ? sum[p] + gradients[p] : gradients[p];
    }
    clip(sum);
    rate_ = learning_rate_at(step_, o_.steps, o_.warm_up_steps, o_.learning_rate);
    optimizer_->step(step_ + 1, sum, rate_);
    model_.bound_scales();
    loss_sum_ += loss;
    ++loss_count_;
  }

  void clip(std::vector<at::Tensor>& gradients) const {
    const c10::NoGradGuard no_grad;
    at::Tensor squares = at::zeros({}, at::TensorOptions(device_).dtype(at::kDouble));
    for (const at::Tensor& g : gradients)
      if (g.defined()) squares += g.square().sum(at::kDouble);
    const double norm = std::sqrt(squares.item<double>());
    if (!std::isfinite(norm))
      fail(ErrorKind::kInvalidArgument, "finetune: the gradient of step {} is not finite; lower --learning-rate",
           step_ + 1);
    if (o_.clip_norm <= 0 || norm <= o_.clip_norm) return;
    for (at::Tensor& g : gradients)
      if (g.defined()) g = g * (o_.clip_norm / norm);
  }

  void evaluate() {
    const c10::NoGradGuard no_grad;
    FinetunePoint point{.step = step_,
                        .learning_rate = rate_,
                        .training_loss = loss_count_ > 0 ? loss_sum_ / static_cast<double>(loss_count_) : NAN,
                        .validation = measure_groups(model_.seen(), s_.teacher, s_.validation, o_.batch, s_.inputs)};
    loss_sum_ = 0;
    loss_count_ = 0;
    const double value = objective_.value(point.validation);
    if (!std::isfinite(value))
      fail(ErrorKind::kInvalidArgument, "finetune: {} is not finite at step {}; lower --learning-rate", o_.objective,
           step_);
    if (curve_.points.empty() || value < curve_.best) {
      curve_.best = value;
      curve_.best_step = step_;
      best_ = model_.keep();
    }
    curve_.points.push_back(std::move(point));
  }

  bool is_out_of_patience() const {
    if (o_.patience <= 0) return false;
    const auto since = std::ranges::count_if(curve_.points, [&](const auto& p) { return p.step > curve_.best_step; });
    return since >= o_.patience;
  }

  void save() {
    if (s_.checkpoint.empty()) return;
    CheckpointFile file;
    file.tensors = model_.state();
    const std::vector<std::string> names = model_.names();
    for (size_t p = 0; p < names.size(); ++p) {
      file.tensors["first." + names[p]] = optimizer_->first()[p];
      file.tensors["second." + names[p]] = optimizer_->second()[p];
    }
    for (const auto& [id, tensor] : best_) file.tensors["best." + name_of(id)] = tensor;
    const Json progress = {{"step", step_},
                           {"learning_rate", rate_},
                           {"loss_sum", loss_sum_},
                           {"loss_count", loss_count_},
                           {"weighting", weighting_->state()},
                           {"curve", finetune_curve_to_json(curve_)}};
    file.words = {{"key", s_.key}, {"tool_version", VERNIER_VERSION}, {"progress", progress.dump()}};
    write_checkpoint(s_.checkpoint, file);
  }

  bool restore() {
    if (s_.checkpoint.empty()) return false;
    const std::optional<CheckpointFile> file = read_checkpoint(s_.checkpoint);
    if (!file) return false;
    const std::string origin = s_.checkpoint.string();
    if (!file->words.contains("key") || file->words.at("key") != s_.key)
      fail(ErrorKind::kInvalidArgument,
           "finetune: {} is of another model, plan, data or options; delete it, or name another folder", origin);
    const Json progress = parse_json(file->words.contains("progress") ? file->words.at("progress") : "", origin);
    step_ = json_int(progress, "step", origin, 0, o_.steps);
    rate_ = json_number(progress, "learning_rate", origin);
    loss_sum_ = json_number(progress, "loss_sum", origin);
    loss_count_ = json_int(progress, "loss_count", origin, 0, o_.steps);
    curve_ = finetune_curve_from_json(json_member(progress, "curve", origin), origin);
    const Json& weighting = json_member(progress, "weighting", origin);
    if (!weighting.is_array() || weighting.size() != weighting_->state().size())
      fail(ErrorKind::kBadFile, "{}: expected {} weights of groups", origin, weighting_->state().size());
    weighting_->restore(weighting.get<std::vector<double>>());
    model_.restore(file->tensors, origin);
    optimizer_.emplace(model_.parameters());
    const std::vector<std::string> names = model_.names();
    for (size_t p = 0; p < names.size(); ++p) {
      optimizer_->first()[p].copy_(tensor_of(file->tensors, "first." + names[p], origin));
      optimizer_->second()[p].copy_(tensor_of(file->tensors, "second." + names[p], origin));
    }
    for (const TensorId& id : s_.source.tensors()) best_[id] = tensor_of(file->tensors, "best." + name_of(id), origin);
    return true;
  }

  const TrainerSetup& s_;
  const FinetuneOptions& o_;
  ProgressSink* progress_;
  at::Device device_;
  int threads_;
  const LossRow& loss_;
  const ObjectiveRow& objective_;
  std::unique_ptr<Weighting> weighting_;
  Sampler sampler_;
  LearnedModel model_;
  std::optional<AdamW> optimizer_;
  FinetuneCurve curve_;
  KeptWeights best_;
  int64_t step_ = 0, loss_count_ = 0;
  double rate_ = 0, loss_sum_ = 0;
};

}  // namespace

TrainerResult train(const TrainerSetup& setup, ProgressSink* progress) { return Trainer(setup, progress).run(); }

}  // namespace vernier
