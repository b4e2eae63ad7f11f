#include "vernier/finetune.h"

#include <ATen/ATen.h>

#include <cmath>
#include <deque>
#include <limits>

#include "base/fail.h"
#include "base/hash.h"
#include "engine/device.h"
#include "finetune/batch_forward.h"
#include "finetune/checkpoint_file.h"
#include "finetune/group_losses.h"
#include "finetune/losses.h"
#include "finetune/sampling.h"
#include "finetune/schedule.h"
#include "finetune/trainer.h"
#include "finetune/weighting.h"
#include "ops/mixed_arithmetic.h"
#include "vernier/quantize.h"
#include "vernier/version.h"

namespace vernier {

namespace {

void check_finetune_options(const FinetuneOptions& o) {
  const auto refuse = [](const std::string& what) { fail(ErrorKind::kInvalidArgument, "finetune: {}", what); };
  if (o.steps < 1 || o.batch < 1 || o.accumulate < 1 || o.evaluate_steps < 1)
    refuse("expected at least 1 step, 1 example a batch, 1 batch a step and 1 step between evaluations");
  for (const double rate : {o.learning_rate, o.level_rate, o.scale_rate, o.dampening, o.weight_decay, o.gradient_l1,
                            o.dro_rate, o.max_minutes, o.anneal_minutes})
    if (!std::isfinite(rate)) refuse(fmt::format("rates, weights and minutes are finite, got {}", rate));
  if (!(o.learning_rate > 0)) refuse(fmt::format("a learning rate of {}: expected more than 0", o.learning_rate));
  if (!(o.cvar_share > 0 && o.cvar_share <= 1))
    refuse(fmt::format("a CVaR share of {}: expected more than 0 and at most 1", o.cvar_share));
  if (!(o.feature_weight >= 0) || !std::isfinite(o.feature_weight))
    refuse(fmt::format("a weight of features of {}: expected at least 0", o.feature_weight));
  if (!std::isfinite(o.final_feature_weight))
    refuse(fmt::format("a weight of features that comes to {}", o.final_feature_weight));
  if (o.recode_steps < 1) refuse(fmt::format("codebooks searched every {} steps: expected at least 1", o.recode_steps));
  if (!(o.drop_bits >= 0 && o.drop_bits <= 1)) refuse(fmt::format("bits dropped with probability {}", o.drop_bits));
  if (!(o.resample >= 0 && o.resample <= 1)) refuse(fmt::format("tokens drawn anew with probability {}", o.resample));
  if (!(o.level_rate >= 0)) refuse(fmt::format("a rate of {} levels: expected at least 0", o.level_rate));
  if (!(o.scale_rate >= 0)) refuse(fmt::format("a rate of scales of {}: expected at least 0", o.scale_rate));
  if (o.scale_rate > 0 && o.level_rate <= 0)
    refuse("a rate of scales is a part of the rate by level; give that as well");
  if (o.scale_rate > 0 && (o.learn_scales || o.singular_band >= 0))
    refuse("scales that learn in place do so with all weights, and in no other way: leave out the other option");
  if (o.scale_rate > 0 && o.weight_decay > 0)
    refuse("where weights are places among levels there is nothing to decay to: leave out the weight decay");
  if (!(o.dampening >= 0)) refuse(fmt::format("a dampening of {}: expected at least 0", o.dampening));
  if (o.dampening > 0 && (o.level_rate <= 0 || o.singular_band >= 0))
    refuse("dampening moves weights by the rate by level: give --level-rate, and let all weights learn");
  if (!(o.average >= 0 && o.average < 1))
    refuse(fmt::format("a running mean of decay {}: expected at least 0 and less than 1", o.average));
  if (o.shift < 0) refuse(fmt::format("images moved by {} pixels", o.shift));
  if (!(o.cutmix >= 0 && o.cutmix <= 1)) refuse(fmt::format("--cutmix {}: expected a share from 0 to 1", o.cutmix));
  if (const LossRow& loss = find_loss(o.loss); o.cutmix > 0 && (loss.needs_labels || !loss.needs_teacher))
    refuse(fmt::format(
        "images that parts of others are pasted into have no label of their own to learn by --loss {}; take "
        "distillation, or --cutmix 0",
        o.loss));
  if (!(o.patch_dropout >= 0 && o.patch_dropout < 1))
    refuse(fmt::format("a share of {} of patches left out: expected at least 0 and less than 1", o.patch_dropout));
  if (!(o.gradient_l1 >= 0) || o.singular_band < -1)
    refuse(
        "the weight of the gradient's magnitudes cannot be negative, and the diagonals beside singular values are -1 "
        "(all weights learn) or more");
  if (o.activations.kind() == Activations::Kind::kLlamaCpp)
    fail(ErrorKind::kUnsupported,
         "finetune: activations as llama.cpp's kernels round them are not trained; int8:token is close");
  if (!(o.anneal_minutes >= 0) || (o.anneal_minutes > 0 && o.max_minutes > 0))
    refuse("--anneal-minutes is at least 0, and not given together with --max-minutes");
  if (!(o.final_rate > 0 && o.final_rate <= 1))
    refuse(fmt::format("a rate that falls to {} of its peak: expected more than 0, at most 1", o.final_rate));
  if (o.draw_ahead && (o.resample <= 0 || o.keep_answers > 0))
    refuse("--draw-ahead is how --resample draws: give both, and no --keep-answers");
  if (o.keep_answers < 0) refuse(fmt::format("answers kept for {} steps", o.keep_answers));
  if (o.warm_up_steps < 0 || o.refit_steps < 0 || o.patience < 0 || !(o.weight_decay >= 0) || !(o.clip_norm >= 0) ||
      !(o.max_minutes >= 0) || !(o.dro_rate >= 0))
    refuse(
        "warm-up, refitting, patience, weight decay, the clipped norm, minutes and the rate of group DRO cannot be "
        "negative");
  constexpr int64_t kMostDraws = int64_t{1} << 50;
  if (o.batch > kMostDraws / o.accumulate || o.steps > kMostDraws / o.accumulate / o.batch)
    refuse(fmt::format("{} steps of {} batches of {} examples: expected at most 2^50 draws", o.steps, o.accumulate,
                       o.batch));
  if (o.kernel_attention && o.compute.type != ComputeType::kBFloat16)
    refuse("--kernel-attention computes in bfloat16: add --dtype bf16, on a GPU");
  if (o.kernel_attention && o.gradient_l1 > 0)
    refuse("the kernel of attention is differentiated once: no --kernel-attention with --gradient-l1");
  if (o.kernel_attention && !device_named(o.compute.device).is_cuda())
    refuse("--kernel-attention is for a GPU; on the CPU leave it out");
}

/// float32 on the device, without gradients.
Model placed(const Model& model, const at::Device& device) {
  Model copy(model.config(), model.source());
  for (const TensorId& id : model.tensors())
    copy.set_weight(id, model.weight(id).detach().to(device, at::kFloat).contiguous());
  return copy;
}

const std::string kCheckpointName = "checkpoint.safetensors";

/// Without what it begins with and learns from, which are searched and written before.
std::string early_key_of(const Model& model, const std::map<TensorId, Scheme>& schemes, const Calibration& calibration,
                         const TrainingData& validation, const FinetuneOptions& options) {
  Hasher hasher;
  hasher.add(VERNIER_VERSION);
  hasher.add(model_hash(model));
  for (const auto& [id, scheme] : schemes) hasher.add(name_of(id) + " " + scheme.name());
  hasher.add(calibration.sites.empty() ? std::string() : calibration_hash(calibration));
  hasher.add(validation.hash);
  hasher.add(finetune_options_to_json(options).dump());
  for (const auto& [site, range] : options.ranges) hasher.add(fmt::format("{} {}", name_of(site), range));
  return hasher.hex();
}

/// The objective of losses in place of that of distances.
std::string objective_of_control(const std::string& objective) {
  if (objective == "worst-kl") return "worst-nll";
  return objective == "mean-kl" ? "mean-nll" : objective;
}

std::string run_key(const std::string& early_key, const Model& begins, const TrainingData& learned) {
  Hasher hasher;
  hasher.add(early_key);
  hasher.add(model_hash(begins));
  hasher.add(learned.hash);
  return hasher.hex();
}

/// Those that `only` leaves out. A recipe's line says which names a pattern means.
std::set<TensorId> held_tensors(const Model& model, const std::string& only) {
  std::set<TensorId> held;
  if (only.empty()) return held;
  std::vector<std::vector<std::string>> names;
  for (const TensorId& id : model.tensors()) names.push_back({name_of(id)});
  const std::vector<std::optional<size_t>> matched = parse_recipe(only + " = f32", "--only").find_all(names);
  for (size_t i = 0; i < names.size(); ++i)
    if (!matched[i]) held.insert(model.tensors()[i]);
  if (held.size() == names.size())
    fail(ErrorKind::kInvalidArgument, "finetune: --only {} names none of the {} tensors, such as {}", only,
         names.size(), names.front().front());
  return held;
}

}  // namespace

void check_finetune(const Model& model, const TrainingData& learned, const FinetuneOptions& options) {
  check_finetune_options(options);
  check_trainable(model, learned);
  find_sampling(options.sampling);
  oversampling(learned.groups, options.oversample);
  find_weighting(options.weighting).make(weighting_facts(learned, options));
  find_objective(options.objective);
  find_decay(options.decay);
  held_tensors(model, options.only);
  const LossRow& loss = find_loss(options.loss);
  if (loss.needs_pairs && model.config().stacks.empty())
    fail(ErrorKind::kInvalidArgument, "finetune: --loss {} is of models of images and texts; {} is none", loss.name,
         model.source().name);
  if (loss.needs_streams && !model.config().stacks.empty())
    fail(ErrorKind::kInvalidArgument,
         "finetune: --loss {} is of models of one stack; {} compares its features by "
         "--loss contrastive-features",
         loss.name, model.source().name);
  if (options.patch_dropout > 0 && !learned.pixels.defined())
    fail(ErrorKind::kInvalidArgument, "finetune: --patch-dropout is of images; {} holds texts", learned.name);
  const bool compares_answers = model.config().is_language_model() && loss.needs_teacher;
  const bool kept_of_others = options.keep_answers > 0 && (!compares_answers || loss.needs_streams);
  if (kept_of_others || (options.draw_ahead && !compares_answers))
    fail(ErrorKind::kUnsupported,
         "finetune: {} is of texts and of losses that compare answers, such as distillation; {} with --loss {} is not",
         kept_of_others ? "--keep-answers" : "--draw-ahead", model.source().name, loss.name);
  if (const int64_t draws = options.steps * options.accumulate * options.batch;
      options.draw_ahead && draws <= learned.size())
    fail(ErrorKind::kInvalidArgument,
         "finetune: --draw-ahead: {} draws of {} texts meet most of them once, as they are; leave it out, or train for "
         "longer",
         draws, learned.size());
}

void check_resumption(const Model& model, const Plan& plan, const Calibration& calibration,
                      const TrainingData& validation, const FinetuneOptions& options) {
  if (options.work.empty()) return;
  const std::filesystem::path path = options.work / kCheckpointName;
  // Files from before there was such a key are judged by the whole one, when training begins.
  if (const std::optional<CheckpointFile> file = read_checkpoint(path); file && file->words.contains("early_key"))
    require_same_run(*file, "early_key", early_key_of(model, schemes_of(plan, model), calibration, validation, options),
                     path);
}

FinetuneResult finetune(const Model& model, const Plan& plan, const Calibration& calibration,
                        const TrainingData& learned, const TrainingData& validation, const FinetuneOptions& options,
                        ProgressSink* progress, const Model* start) {
  check_finetune(model, learned, options);
  check_trainable(model, validation);
  if (progress != nullptr && options.compute.type == ComputeType::kBFloat16 &&
      !multiplies_bfloat16(device_named(options.compute.device)))
    progress->warn(
        "this processor has no instructions for bfloat16 (AVX512-BF16): products are in float32 all the same");
  const LossRow& loss = find_loss(options.loss);
  const std::map<TensorId, Scheme> schemes = schemes_of(plan, model), none;
  std::map<TensorId, std::vector<float>> importances;
  if (!calibration.sites.empty()) {
    check_calibration(calibration, model);
    for (const auto& [id, scheme] : schemes) importances[id] = calibration.importance(model, id);
  }
  const Model teacher = placed(model, device_named(options.compute.device));
  const std::set<TensorId> held = held_tensors(model, options.only);
  const auto run = [&](const std::map<TensorId, Scheme>& rounded, const RoundedInputs& inputs, const char* stage,
                       const char* file, const FinetuneOptions& own) {
    const std::filesystem::path checkpoint = own.work.empty() ? std::filesystem::path() : own.work / file;
    const bool can_learn =
        !rounded.empty() || inputs.how != Activations::kExact || loss.needs_labels || own.weight_decay > 0;
    const Model& begins = start == nullptr || rounded.empty() ? model : *start;
    const std::string early_key = early_key_of(model, rounded, calibration, validation, own);
    return train({model, begins, teacher, rounded, importances, inputs, held, learned, validation, own, can_learn,
                  stage, checkpoint, run_key(early_key, begins, learned), early_key},
                 progress);
  };
  TrainerResult trained =
      run(schemes, {options.activations, &options.ranges}, "finetune", kCheckpointName.c_str(), options);
  FinetuneResult result{std::move(trained.model), std::move(trained.curve), {}, {}};
  if (options.control) {
    // By its loss: nothing is closer to full precision than full precision, which no step would then be kept after.
    FinetuneOptions by_loss = options;
    by_loss.objective = objective_of_control(options.objective);
    TrainerResult control = run(none, {}, "control", "control.safetensors", by_loss);
    result.control = std::move(control.curve);
    result.control_model = std::move(control.model);
  }
  return result;
}

std::vector<FinetuneEvaluation> evaluate_finetuned(const Model& model, const std::vector<MeasuredModel>& others,
                                                   const TrainingData& held_out, const FinetuneOptions& options,
                                                   ProgressSink* progress) {
  check_trainable(model, held_out);
  const at::Device device = device_named(options.compute.device);
  const Model teacher = placed(model, device);
  std::deque<Model> copies;  // that stay where they are
  std::vector<JudgedModel> judged;
  for (const MeasuredModel& other : others) {
    const Model& there = other.model == &model ? teacher : copies.emplace_back(placed(*other.model, device));
    judged.push_back({there, {other.activations, &options.ranges}});
  }
  return measure_groups(judged, teacher, held_out, options.batch, progress);
}

FinetuneEvaluation evaluate_finetuned(const Model& model, const Model& other, const TrainingData& held_out,
                                      const FinetuneOptions& options, ProgressSink* progress) {
  return std::move(evaluate_finetuned(model, {{&other, options.activations}}, held_out, options, progress).front());
}

Plan finetuned_plan(const Plan& plan) {
  Plan made = plan;
  made.method = "nearest";  // matrices that are stored in their scheme are kept as they are
  made.provenance["fine_tuned"] = true;
  // What was foretold is of the weights before, and so is their hash.
  for (PlanEntry& entry : made.entries) entry.damage = std::numeric_limits<double>::quiet_NaN();
  made.predicted_kl_nats = made.lower_bound_kl_nats = std::numeric_limits<double>::quiet_NaN();
  made.objective.reset();
  if (const auto hash = made.provenance.find("model_hash"); hash != made.provenance.end()) {
    made.provenance["trained_from"] = *hash;
    made.provenance.erase("model_hash");
  }
  return made;
}

}  // namespace vernier
