#include "finetune/trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/counter_random.h"
#include "base/fail.h"
#include "base/json.h"
#include "engine/device.h"
#include "finetune/averaged_weights.h"
#include "finetune/batch_forward.h"
#include "finetune/batch_gradient.h"
#include "finetune/checkpoint_file.h"
#include "finetune/curve_json.h"
#include "finetune/drawn_ahead.h"
#include "finetune/group_losses.h"
#include "finetune/kept_answers.h"
#include "finetune/losses.h"
#include "finetune/moved_images.h"
#include "finetune/resampled_text.h"
#include "finetune/sampling.h"
#include "finetune/schedule.h"
#include "finetune/step_clock.h"
#include "finetune/stream_metric.h"
#include "finetune/weighting.h"
#include "vernier/version.h"

namespace vernier {

namespace {

using TrainingClock = std::chrono::steady_clock;
constexpr int64_t kExamplesOfMetrics = 16;
constexpr size_t kUnseenSteps = 16;  // after so many a GPU is waited for, to see whether all is finite
constexpr uint64_t kDropping = ~uint64_t{0}, kMoving = kDropping - 1, kMixing = kMoving - 1, kDrawing = kMixing - 1,
                   kLabelling = kDrawing - 3, kLeavingOut = kLabelling - 1;  // places that no draw of examples reaches

class Trainer {
 public:
  Trainer(const TrainerSetup& setup, ProgressSink* progress)
      : s_(setup),
        o_(setup.options),
        progress_(progress),
        device_(device_named(o_.compute.device)),
        threads_(resolve_threads(o_.compute)),
        clock_(device_, o_.time_stages),
        teacher_(s_.teacher, longest_rows(s_.learned), device_,
                 {.kernel_attention = o_.kernel_attention, .once = true}),
        loss_(find_loss(o_.loss)),
        objective_(find_objective(o_.objective)),
        schedule_{.decay = find_decay(o_.decay),
                  .steps = o_.steps,
                  .warm_up = o_.warm_up_steps,
                  .peak = o_.level_rate > 0 ? o_.level_rate : o_.learning_rate,
                  .last = o_.final_rate},
        weighting_(find_weighting(o_.weighting).make(weighting_facts(s_.learned, o_))),
        sampler_(sampler()),
        model_(s_.source, s_.start, s_.schemes, s_.importances,
               {.device = device_,
                .scales = o_.scale_rate > 0 ? ScalesLearn::kInPlace
                          : o_.learn_scales ? ScalesLearn::kBySize
                                            : ScalesLearn::kNot,
                .scale_rate = o_.scale_rate,
                .weight_decay = o_.weight_decay,
                .held = s_.held,
                .singular_band = o_.singular_band,
                .rates_by_level = o_.level_rate > 0,
                .stacked = o_.drop_bits <= 0,
                .threads = threads_}),
        gradient_({.config = s_.source.config(),
                   .model = model_,
                   .teacher = teacher_,
                   .loss = loss_,
                   .weighting = *weighting_,
                   .inputs = s_.inputs,
                   .options = o_,
                   .rows = longest_rows(s_.learned),
                   .metrics = &metrics_},
                  device_, clock_) {
    if (o_.keep_answers > 0 && s_.can_learn)
      kept_.emplace(s_.learned, teacher_, device_,
                    KeptAnswers::How{.batch = o_.batch,
                                     .mixed = mixed(),
                                     .resample = o_.resample,
                                     .seed = random_bits(o_.seed, kDrawing - 2)});
    if (o_.draw_ahead && s_.can_learn) ahead_.emplace(s_.learned, device_);
  }

  TrainerResult run() {
    const c10::AutoGradMode with_gradients(true);
    if (progress_ != nullptr) progress_->begin(s_.stage, work(), o_.anneal_minutes > 0 ? "seconds" : "steps");
    const bool goes_on = restore();
    if (loss_.needs_metrics && s_.can_learn && step_ < o_.steps) learn_metrics();
    start_ = TrainingClock::now();
    if (resamples())
      drawn_validation_ = resampled_windows(s_.validation, teacher_, device_, o_.batch, mixed(), o_.resample,
                                            random_bits(o_.seed, kDrawing - 1));
    if (!goes_on) begin();
    if (!s_.can_learn) curve_.stopped = "nothing to learn";
    while (step_ < o_.steps && curve_.stopped.empty()) {
      if (is_refit(step_)) {
        clock_.enter("refit");
        model_.fit(threads_);
      }
      one_step();
      ++step_;
      const bool is_annealed = o_.anneal_minutes > 0 && minutes() > o_.anneal_minutes;
      const bool is_evaluated = step_ % o_.evaluate_steps == 0 || step_ == o_.steps || is_annealed;
      if (is_evaluated || step_ % o_.recode_steps == 0) {
        clock_.enter("recode");
        model_.recode(threads_);
      }
      if (is_evaluated) {
        evaluate();
        if (is_annealed && step_ < o_.steps) curve_.stopped = "annealed";
        if (is_out_of_patience()) curve_.stopped = "patience";
        save();
      }
      if (o_.max_minutes > 0 && minutes() - minutes_before_ > o_.max_minutes && step_ < o_.steps) {
        save();
        curve_.stopped = "minutes";  // after saving: who goes on later has not stopped
      }
      if (progress_ != nullptr) progress_->update(work_done());
    }
    clock_.leave();
    curve_.stages = clock_.stages();
    if (curve_.stopped.empty()) curve_.stopped = "steps";
    curve_.objective = o_.objective;
    if (progress_ != nullptr) progress_->end();
    return {curve_, model_.model_of(best_)};
  }

 private:
  void begin() {
    clock_.enter("refit");
    model_.begin(threads_);
    make_optimizer();
    evaluate();
  }

  void make_optimizer() {
    optimizer_.emplace(model_.parameters());
    if (o_.average > 0) averaged_.emplace(model_.parameters(), o_.average);
  }

  Sampler sampler() const {
    return {find_sampling(o_.sampling), s_.learned.group, oversampling(s_.learned.groups, o_.oversample), o_.seed};
  }
  bool mixed() const { return o_.compute.type == ComputeType::kBFloat16; }
  bool resamples() const { return o_.resample > 0 && !s_.learned.windows.empty(); }

  /// Of training, in earlier calls too.
  double minutes() const {
    const std::chrono::duration<double> taken = TrainingClock::now() - start_;
    return minutes_before_ + taken.count() / 60;
  }

  /// What is counted for whoever waits: what it ends by.
  int64_t work() const { return o_.anneal_minutes > 0 ? std::llround(60 * o_.anneal_minutes) : o_.steps; }
  int64_t work_done() const {
    return o_.anneal_minutes > 0 ? std::llround(progress() * static_cast<double>(work())) : step_;
  }

  /// The share of --anneal-minutes; 0 without.
  double time_passed() const { return o_.anneal_minutes > 0 ? minutes() / o_.anneal_minutes : 0; }
  /// From 0 at the first step to 1 at the last.
  double progress() const {
    return std::min(1.0, std::max(time_passed(), static_cast<double>(step_) / static_cast<double>(o_.steps)));
  }

  double feature_weight() const {
    if (o_.final_feature_weight < 0) return o_.feature_weight;
    return o_.feature_weight + progress() * (o_.final_feature_weight - o_.feature_weight);
  }

  /// In the last fifth the scales stay, so that the weights settle on them.
  bool is_refit(int64_t step) const {
    return !o_.learn_scales && o_.scale_rate <= 0 && o_.refit_steps > 0 && step > 0 && step % o_.refit_steps == 0 &&
           5 * step < 4 * o_.steps;
  }

  /// As draws from `first` on learn from them; texts as they are.
  void change_images(ExampleBatch& examples, int64_t first) const {
    if (!s_.learned.pixels.defined()) return;
    at::Tensor& pixels = examples.inputs;
    if (o_.shift > 0 || o_.mirror)
      pixels = moved_images(pixels, {o_.shift, o_.mirror}, random_bits(o_.seed, kMoving), first);
    if (o_.cutmix > 0) pixels = cutmix_images(pixels, o_.cutmix, random_bits(o_.seed, kMixing), first);
    if (o_.patch_dropout > 0) {
      const ModelConfig& config = s_.source.config();
      const PatchConfig& patches = config.stacks.empty() ? config.patches : config.find_stack(Stack::kImage)->patches;
      examples.seen_patches = sent(
          kept_patches(pixels.size(0), patches.count(), o_.patch_dropout, random_bits(o_.seed, kLeavingOut), first),
          device_);
    }
  }

  /// By what is drawn first, a few at once: a graph is kept of the full-precision model as well. The same in a call that goes
  /// on, whatever the sampler has been told by then.
  void learn_metrics() {
    clock_.enter("metrics");
    Sampler first_draws = sampler();
    const int64_t count = std::min(o_.batch, kExamplesOfMetrics);
    const auto batch = [&](int64_t first) {
      ExampleBatch examples = batch_of(s_.learned, first_draws.draw(first, count), device_, longest_rows(s_.learned));
      change_images(examples, first);
      return examples;
    };
    metrics_ = stream_metrics(s_.teacher, {.rows = longest_rows(s_.learned),
                                           .mixed = mixed(),
                                           .kernel_attention = o_.kernel_attention,
                                           .seed = random_bits(o_.seed, kLabelling),
                                           .batch = batch});
  }

  /// `examples`: of draws from `first` on.
  GradientBatch batch_from(int64_t first, const std::vector<int64_t>& examples) {
    clock_.enter("data");
    GradientBatch batch;
    batch.dropped = dropping();
    const bool all_alike = gradient_.is_recorded() || kept_ || ahead_;
    batch.examples = batch_of(s_.learned, examples, device_, all_alike ? longest_rows(s_.learned) : 0);
    change_images(batch.examples, first);
    at::Tensor& inputs = batch.examples.inputs;
    if (kept_) {
      clock_.enter("teacher");
      kept_->make(resamples() ? step_ / o_.keep_answers : 0);
      clock_.enter("data");
      inputs = kept_->inputs(examples);
      batch.teacher_states = kept_->states(examples);
    } else if (resamples()) {
      const Redraws redraws =
          redraws_of(s_.learned, examples, inputs.size(1), o_.resample, random_bits(o_.seed, kDrawing), first);
      batch.redraws = {sent(redraws.drawn, device_), sent(redraws.until, device_)};
      if (ahead_) {
        batch.given = inputs;
        inputs = ahead_->inputs(examples);
      }
    }
    std::vector<int32_t> groups, classes;
    for (const int64_t i : examples) {
      groups.push_back(s_.learned.group[static_cast<size_t>(i)]);
      classes.push_back(s_.learned.labels.empty() ? -1 : s_.learned.labels[static_cast<size_t>(i)]);
    }
    batch.weights = sent(weighting_->weights_of(groups, classes), device_);
    batch.feature_weight = sent(at::full({}, feature_weight(), at::kFloat), device_);
    return batch;
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
    at::Tensor loss = at::zeros({}, at::TensorOptions(device_).dtype(at::kDouble));
    for (int64_t a = 0; a < o_.accumulate; ++a) {
      const int64_t first = (step_ * o_.accumulate + a) * o_.batch;
      const std::vector<int64_t> examples = sampler_.draw(first, o_.batch);
      const BatchGradient::Result& part =
          gradient_.of(batch_from(first, examples), leaves, static_cast<double>(o_.accumulate));
      if (ahead_) ahead_->keep(examples, part.drawn_ahead);
      loss += part.loss;
      if (sum.empty() && o_.accumulate == 1) {
        sum = part.gradients;
        continue;
      }
      sum.resize(part.gradients.size());
      for (size_t p = 0; p < sum.size(); ++p)
        if (const at::Tensor& own = part.gradients[p]; own.defined())
          sum[p] = sum[p].defined() ? sum[p] + own : own.clone();
    }
    clock_.enter("clip");
    const at::Tensor norm = norm_of(sum);
    unseen_.push_back(at::stack({loss, norm}));
    if (device_.is_cpu() || unseen_.size() >= kUnseenSteps) look(step_ + 1);
    clock_.enter("optimizer");
    rate_ = schedule_.at(step_, time_passed());
    optimizer_->step(step_ + 1, sum, rate_, o_.clip_norm > 0 ? (o_.clip_norm / norm).clamp_max(1) : at::Tensor());
    model_.settle(o_.dampening * rate_ * progress());
    if (averaged_) averaged_->add(step_ + 1);
  }

  /// Of all of them together, float64 on the device: reading it would have the CPU wait for every step.
  at::Tensor norm_of(std::vector<at::Tensor>& gradients) const {
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> all;
    for (at::Tensor& g : gradients)
      if (g.defined()) all.push_back(g = g.contiguous());
    if (all.empty()) return at::zeros({}, at::TensorOptions(device_).dtype(at::kDouble));
    return at::stack(at::_foreach_norm(all)).to(at::kDouble).square().sum().sqrt();
  }

  /// At the losses of steps that nobody has looked at yet; `steps` are done.
  void look(int64_t steps) {
    if (unseen_.empty()) return;
    const at::Tensor values = at::stack(unseen_).to(at::kCPU);  // [steps, loss and norm]
    const auto count = static_cast<int64_t>(unseen_.size());
    unseen_.clear();
    for (int64_t i = 0; i < count; ++i) {
      if (!std::isfinite(values[i][1].item<double>()))
        fail(ErrorKind::kInvalidArgument, "finetune: the gradient of step {} is not finite; lower --learning-rate",
             steps - count + i + 1);
      loss_sum_ += values[i][0].item<double>();
      ++loss_count_;
    }
  }

  void evaluate() {
    const c10::NoGradGuard no_grad;
    look(step_);
    clock_.enter("evaluate");
    if (!averaged_) return evaluate_weights();
    averaged_->exchange();
    model_.recode(threads_);
    evaluate_weights();
    averaged_->exchange();
    model_.recode(threads_);
  }

  void evaluate_weights() {
    FinetunePoint point{
        .step = step_,
        .learning_rate = rate_,
        .training_loss = loss_count_ > 0 ? loss_sum_ / static_cast<double>(loss_count_) : NAN,
        .validation = measure_groups(model_.seen(), s_.teacher, resamples() ? drawn_validation_ : s_.validation,
                                     o_.batch, s_.inputs)};
    loss_sum_ = 0;
    loss_count_ = 0;
    const double value = objective_.value(point.validation);
    if (!std::isfinite(value))
      fail(ErrorKind::kInvalidArgument, "finetune: {} is not finite at step {}; lower --learning-rate", o_.objective,
           step_);
    if (curve_.points.empty() || value < curve_.best) {
      curve_.best = value;
      curve_.best_step = step_;
      clock_.enter("keep");
      best_ = model_.keep(threads_);
    }
    curve_.points.push_back(std::move(point));
    follow_groups();
  }

  /// What is drawn from here on; of all evaluations so far, so that a checkpoint needs no more than the curve.
  void follow_groups() {
    std::vector<std::vector<double>> losses;
    for (const FinetunePoint& point : curve_.points) {
      std::vector<double>& own = losses.emplace_back();
      for (const std::string& name : s_.learned.groups) {
        const auto found = point.validation.groups.find(name);
        own.push_back(found == point.validation.groups.end() ? NAN : found->second.kl_nats.mean);
      }
    }
    sampler_.follow(losses);
  }

  bool is_out_of_patience() const {
    if (o_.patience <= 0) return false;
    const auto since = std::ranges::count_if(curve_.points, [&](const auto& p) { return p.step > curve_.best_step; });
    return since >= o_.patience;
  }

  void save() {
    if (s_.checkpoint.empty()) return;
    look(step_);
    clock_.enter("save");
    CheckpointFile file;
    file.tensors = model_.state();
    const std::vector<std::string> names = model_.names();
    for (size_t p = 0; p < names.size(); ++p) {
      file.tensors["first." + names[p]] = optimizer_->first()[p];
      file.tensors["second." + names[p]] = optimizer_->second()[p];
      if (const at::Tensor& widths = optimizer_->parameters()[p].widths; widths.defined())
        file.tensors["widths." + names[p]] = widths;
      if (averaged_) file.tensors["mean." + names[p]] = averaged_->means()[p];
    }
    for (const auto& [id, tensor] : best_) file.tensors["best." + name_of(id)] = tensor;
    if (ahead_) file.tensors["drawn_ahead"] = ahead_->state();
    std::vector<double> rates;  // as they were when it began: scales may have been fitted anew since
    for (const AdamWParameter& parameter : optimizer_->parameters()) rates.push_back(parameter.rate_factor);
    const Json progress = {{"step", step_},
                           {"rates", rates},
                           {"minutes", o_.anneal_minutes > 0 ? minutes() : 0},
                           {"learning_rate", rate_},
                           {"loss_sum", loss_sum_},
                           {"loss_count", loss_count_},
                           {"weighting", weighting_->state()},
                           {"curve", finetune_curve_to_json(curve_)}};
    file.words = {
        {"key", s_.key}, {"early_key", s_.early_key}, {"tool_version", VERNIER_VERSION}, {"progress", progress.dump()}};
    write_checkpoint(s_.checkpoint, file);
  }

  bool restore() {
    if (s_.checkpoint.empty()) return false;
    const std::optional<CheckpointFile> file = read_checkpoint(s_.checkpoint);
    if (!file) return false;
    const std::string origin = s_.checkpoint.string();
    require_same_run(*file, "key", s_.key, s_.checkpoint);
    const Json progress = parse_json(file->words.contains("progress") ? file->words.at("progress") : "", origin);
    step_ = json_int(progress, "step", origin, 0, o_.steps);
    minutes_before_ = json_number(progress, "minutes", origin);
    rate_ = json_number(progress, "learning_rate", origin);
    loss_sum_ = json_number(progress, "loss_sum", origin);
    loss_count_ = json_int(progress, "loss_count", origin, 0, o_.steps);
    curve_ = finetune_curve_from_json(json_member(progress, "curve", origin), origin);
    weighting_->restore(json_numbers(progress, "weighting", weighting_->state().size(), origin));
    model_.restore(file->tensors, origin);
    follow_groups();
    make_optimizer();
    const std::vector<std::string> names = model_.names();
    const std::vector<double> rates = json_numbers(progress, "rates", names.size(), origin);
    std::vector<at::Tensor> widths;
    for (size_t p = 0; p < names.size(); ++p) {
      const at::Tensor& known = optimizer_->parameters()[p].widths;
      widths.push_back(known.defined() ? tensor_of(file->tensors, "widths." + names[p], known.sizes(), origin)
                                       : at::Tensor());
    }
    optimizer_->set_rates(rates, widths);
    const auto restore = [&](const at::Tensor& into, const char* what, size_t p) {
      into.copy_(tensor_of(file->tensors, what + names[p], into.sizes(), origin));
    };
    for (size_t p = 0; p < names.size(); ++p) {
      restore(optimizer_->first()[p], "first.", p);
      restore(optimizer_->second()[p], "second.", p);
      if (averaged_) restore(averaged_->means()[p], "mean.", p);
    }
    for (const TensorId& id : s_.source.tensors())
      best_[id] = tensor_of(file->tensors, "best." + name_of(id), origin);  // in bytes where it is stored
    model_.check_kept(best_, origin);
    if (ahead_) ahead_->restore(tensor_of(file->tensors, "drawn_ahead", origin), s_.source.config().vocabulary, origin);
    return true;
  }

  const TrainerSetup& s_;
  const FinetuneOptions& o_;
  ProgressSink* progress_;
  at::Device device_;
  int threads_;
  StepClock clock_;
  BatchForward teacher_;
  const LossRow& loss_;
  const ObjectiveRow& objective_;
  LearningRate schedule_;
  TrainingData drawn_validation_;
  std::unique_ptr<Weighting> weighting_;
  Sampler sampler_;
  LearnedModel model_;
  std::vector<StreamMetric> metrics_;
  BatchGradient gradient_;
  std::optional<AdamW> optimizer_;
  std::optional<AveragedWeights> averaged_;
  std::optional<KeptAnswers> kept_;
  std::optional<DrawnAhead> ahead_;
  FinetuneCurve curve_;
  KeptWeights best_;
  TrainingClock::time_point start_ = TrainingClock::now();
  double minutes_before_ = 0;
  int64_t step_ = 0, loss_count_ = 0;
  double rate_ = 0, loss_sum_ = 0;
  std::vector<at::Tensor> unseen_;  // [loss, norm of the gradient] of steps, on the device
};

}  // namespace

TrainerResult train(const TrainerSetup& setup, ProgressSink* progress) { return Trainer(setup, progress).run(); }

}  // namespace vernier
