#pragma once

// Mixed-precision quantization-aware training: a model learns while every matrix is rounded onto the very grid that its
// plan exports, so that what is trained is what is written, byte for byte.
// In: a Model, a Plan, what to learn from. Out: a Model whose matrices are stored in the plan's schemes, and what every
// group of held-out examples thinks of it, before and after.
//
//   const TrainingData all = training_text(tokenizer, "train", read_documents("train.jsonl"), 512);
//   const auto [learned, validated] = split_training_data(all, 0.05, 1);
//   const FinetuneResult tuned = finetune(model, plan, calibration, learned, validated, {.steps = 400});
//   print(tuned.trained.points.back().validation.worst_kl_nats());
//   export_model(find_target("llama.cpp"), quantize(tuned.model, {}, finetuned_plan(plan), threads), tokenizer_model, "model.gguf");

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vernier/calibrate.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/labelled_images.h"
#include "vernier/measured.h"
#include "vernier/model.h"
#include "vernier/plan.h"
#include "vernier/progress.h"

namespace vernier {

/// Examples, each of a group: windows of text, or images with what they show.
struct TrainingData {
  std::string name, hash;
  std::vector<std::string> groups;        ///< names
  std::vector<int32_t> group;             ///< of each example, an index
  std::vector<TokenWindow> windows;       ///< of a language model
  at::Tensor pixels;                      ///< of a classifier of images: float32 [examples, channels, side, side]
  std::vector<int32_t> labels;            ///< and their classes
  std::vector<std::string> image_hashes;  ///< of the files' bytes
  int64_t size() const { return static_cast<int64_t>(group.size()); }
};

/// The documents of each group one behind the other, BOS in front of each if the vocabulary adds it, cut every `context`
/// tokens; every token is learned. What is left over at the end of a group is dropped unless it is all there is.
/// @throws Error{kInvalidArgument} when nothing remains
TrainingData training_text(const Tokenizer& tokenizer, const std::string& name, const std::vector<Document>& documents,
                           int64_t context);
/// Windows as they are scored in an evaluation: what is held out.
TrainingData held_out_text(const EvaluationData& data);
/// Decoded and preprocessed for `model`. Groups are the values of `attribute`, "class" for what is shown, "" for the first
/// attribute that there is, or the class. @cost all pixels in memory
/// @throws Error{kInvalidArgument} for another number of classes or an unknown attribute; as load_pixel_values
TrainingData training_images(const Model& model, const LabelledImages& images, const std::string& attribute,
                             int threads);
/// Of each group so large a share apart, at least one example where it has two: what is learned from, and what decides
/// which checkpoint is best.
std::pair<TrainingData, TrainingData> split_training_data(const TrainingData& data, double share, uint64_t seed);

/// How much of `held_out` is also learned from: runs of 50 tokens as shared_token_runs, or images with the same bytes.
int64_t shared_examples(const TrainingData& held_out, const TrainingData& learned);

struct FinetuneOptions {
  int64_t steps = 400;
  int64_t batch = 16;      ///< examples at once
  int64_t accumulate = 1;  ///< batches per step
  double learning_rate = 3e-4;
  int64_t warm_up_steps = 20;
  double weight_decay = 0;  ///< of matrices
  double clip_norm = 1;     ///< of the gradient of all that learns; 0: no limit
  std::string loss = "distillation";
  std::string weighting = "none";
  std::string sampling = "uniform";
  double dro_rate = 0.01;   ///< of weighting group-dro
  double cvar_share = 0.3;  ///< of weighting cvar: the worst part of a batch
  /// Scales of schemes that store them plainly (integers) learn as in LSQ (arXiv 1902.08153); others are fitted.
  bool learn_scales = false;
  int64_t refit_steps = 50;     ///< scales that do not learn are fitted anew so often, up to 4/5 of the steps; 0: never
  int64_t evaluate_steps = 50;  ///< between evaluations on the validation part, each followed by a checkpoint
  std::string objective = "worst-kl";  ///< what the best checkpoint has least of
  int64_t patience = 0;                ///< evaluations without a better one after which it ends; 0: never
  double max_minutes = 0;              ///< of training; 0: no limit. The same call later goes on from the checkpoint
  uint64_t seed = 1;
  bool control = false;  ///< also trains the same recipe without rounding
  /// Of checkpoints; empty: none. A folder of the same model, data and options is gone on with.
  std::filesystem::path work{};
  /// bf16: products on a GPU; weights, sums, losses and evaluations stay in float32.
  ComputeOptions compute{};
};

/// Sums over the scored tokens, or images, of a group.
struct GroupLoss {
  int64_t examples = 0;
  double scored = 0;       ///< tokens, or images
  Measured kl_nats{};      ///< KL(full precision || model) per token or image; standard errors over examples
  Measured nll_nats{};     ///< likewise; of images by their labels
  Measured right_share{};  ///< of the largest logit
};

struct FinetuneEvaluation {
  GroupLoss all{};
  std::map<std::string, GroupLoss> groups{};
  double worst_kl_nats() const;
  /// The group whose KL that is.
  std::string worst_group() const;
};

struct FinetunePoint {
  int64_t step = 0;          ///< steps done
  double learning_rate = 0;  ///< of the last one
  double training_loss = 0;  ///< mean since the point before; NaN at step 0
  FinetuneEvaluation validation{};
};

struct FinetuneCurve {
  std::vector<FinetunePoint> points;  ///< the first is before any training
  int64_t best_step = 0;
  double best = 0;      ///< the objective there
  std::string stopped;  ///< "steps", "patience", "minutes"
};

struct FinetuneResult {
  Model model;  ///< the best checkpoint: matrices stored in the plan's schemes, everything else float32
  FinetuneCurve trained;
  std::optional<FinetuneCurve> control;
  std::optional<Model> control_model;
};

/// Chooses among checkpoints, a row each: "worst-kl", "mean-kl", "worst-nll", "mean-nll".
std::vector<std::string> finetune_objectives();

/// Deterministic by seed, on one device with one number of threads: killed and started again it ends in the same bytes.
/// @cost per step a forward and a backward pass of the model in plain ATen, and a forward pass of the teacher; memory: five
///       times the weights in float32
/// @throws Error{kInvalidArgument} when plan, calibration, data and model do not belong together, for options that cannot
///         be meant, and when a loss is not finite; {kUnsupported} for models that are neither language models nor
///         classifiers of images; {kBadFile} for a checkpoint of something else
FinetuneResult finetune(const Model& model, const Plan& plan, const Calibration& calibration,
                        const TrainingData& learned, const TrainingData& validation, const FinetuneOptions& options,
                        ProgressSink* progress = nullptr);

/// `other` beside `model` on held-out examples: KL is from `model`'s answers. @throws as finetune
FinetuneEvaluation evaluate_finetuned(const Model& model, const Model& other, const TrainingData& held_out,
                                      const FinetuneOptions& options, ProgressSink* progress = nullptr);

/// The plan of a model that was trained by `plan`: nothing is searched anew, since its matrices are stored in it already.
Plan finetuned_plan(const Plan& plan);

nlohmann::ordered_json finetune_curve_to_json(const FinetuneCurve& curve);
nlohmann::ordered_json finetune_evaluation_to_json(const FinetuneEvaluation& evaluation);
nlohmann::ordered_json finetune_options_to_json(const FinetuneOptions& options);

}  // namespace vernier
