#pragma once

// Mixed-precision quantization-aware training: a model learns while every matrix is rounded onto the very grid that its
// plan exports, so that what is trained is what is written, byte for byte.
// In: a Model, a Plan, what to learn from. Out: a Model whose matrices are stored in the plan's schemes, and what every
// group of held-out examples thinks of it, before and after.
//
//   const std::vector<EncodedDocument> documents = encoded_documents(tokenizer, read_documents("train.jsonl"));
//   const TrainingData all = training_text(tokenizer, "train", documents, 512);
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
#include "vernier/prompts.h"

namespace vernier {

/// Examples, each of a group: windows of text, or images with what they show.
struct TrainingData {
  std::string name, hash;
  std::vector<std::string> groups;   ///< names
  std::vector<int32_t> group;        ///< of each example, an index
  std::vector<double> group_bytes;   ///< UTF-8 that the scored tokens of each group are; empty where nobody counted
  std::vector<TokenWindow> windows;  ///< of a language model
  std::vector<bool> self_written;    ///< which of them the model wrote itself; empty: none
  /// Where in each window pieces behind its first begin; empty: nowhere. Such a token is not to be foretold from what stands
  /// before it, and never drawn anew.
  std::vector<std::vector<int32_t>> piece_starts;
  at::Tensor pixels;                      ///< of a model that sees: float32 [examples, channels, side, side]
  std::vector<int32_t> labels;            ///< and their classes
  std::vector<std::string> image_hashes;  ///< of the files' bytes
  /// Of a model of images and texts: tokens that name the classes, class after class and of each equally many.
  std::vector<std::vector<int32_t>> prompts;
  int64_t classes = 0;                         ///< that `prompts` name
  std::vector<std::vector<int32_t>> captions;  ///< tokens of each image's own text; empty where nobody wrote any
  int64_t size() const { return static_cast<int64_t>(group.size()); }
};

/// A document's tokens, without special ones.
struct EncodedDocument {
  std::vector<int32_t> ids;
  std::string group;
};
/// All of them, on `threads` threads.
std::vector<EncodedDocument> encoded_documents(const Tokenizer& tokenizer, const std::vector<Document>& documents,
                                               int threads = 1);
/// Documents in pieces as document_windows() cuts them, each with BOS in front if the vocabulary adds it, so that a model
/// learns what it is measured on and engines show it; of each group as many pieces to a window as `context` has room for,
/// each seeing those before it. A window less than a quarter full is left out where its group has others: an example's
/// loss is a mean, in which few tokens would count as much as many.
/// @throws Error{kInvalidArgument} when nothing remains
TrainingData training_text(const Tokenizer& tokenizer, const std::string& name,
                           const std::vector<EncodedDocument>& documents, int64_t context);
/// A document a window, as it is: of fewer than 2 tokens it is left out. @throws Error{kInvalidArgument} when nothing remains
TrainingData training_windows(const std::string& name, const std::vector<EncodedDocument>& documents);
/// Windows as they are scored in an evaluation: what is held out.
TrainingData held_out_text(const EvaluationData& data);
/// Decoded and preprocessed for `model`. Groups are the values of `attribute`, "class" for what is shown, "" for the first
/// attribute that there is, or the class. A column "caption" is no group: of a model of images and texts it holds each
/// image's own text. Such a model tells classes apart by `prompts`. @cost all pixels in memory
/// @throws Error{kInvalidArgument} for another number of classes or an unknown attribute; as load_pixel_values, Tokenizer
TrainingData training_images(const Model& model, const LabelledImages& images, const std::string& attribute,
                             int threads, const PromptTemplates& prompts = known_prompt_templates().front());
/// `count` windows that a language model writes, to learn from where there is little (arXiv 2305.17888): each begins with
/// the first `kept` tokens of an example that `sampling` draws, and goes on with what is drawn from all the model's
/// answers. The paper begins with a random token and takes the next few greedily. Groups are those of the beginnings.
/// @cost a row for every token, of up to 64 windows at once (on a GPU 1,024), whose keys and values are kept
/// @throws Error{kUnsupported} for other models, {kInvalidArgument} for counts below 1
TrainingData self_written_text(const Model& model, const TrainingData& beginnings, int64_t count, int64_t kept,
                               const std::string& sampling, uint64_t seed, const ComputeOptions& compute,
                               ProgressSink* progress = nullptr);
/// `count` examples as a sampling draws them, such as "balanced": what to calibrate on so that every group counts alike.
/// @throws Error{kInvalidArgument} for a sampling that does not exist and a count below 1
TrainingData drawn_examples(const TrainingData& data, const std::string& sampling, int64_t count, uint64_t seed);
/// Examples of both, of the same kind. @throws Error{kInvalidArgument} where their groups differ
TrainingData joined_training_data(const TrainingData& a, const TrainingData& b);
/// Of each group so large a share apart, at least one example where it has two: what is learned from, and what decides
/// which checkpoint is best.
std::pair<TrainingData, TrainingData> split_training_data(const TrainingData& data, double share, uint64_t seed);
/// At most `count` examples, of every group as many where it has them: a part of what is kept apart tells checkpoints apart
/// as well as all of it, and costs less. @throws Error{kInvalidArgument} for a count below 1
TrainingData some_of_each_group(const TrainingData& data, int64_t count);
/// Those of the groups that are also `measured`, where any is; else all. What is learned from beside them, such as manuals
/// of another program, is no reason to keep a checkpoint.
TrainingData examples_of_groups(const TrainingData& data, const std::vector<std::string>& measured);

/// Documents that hold none of the runs of 50 tokens of `held_out`, nor its windows of 17 to 50: what may be learned from.
std::vector<EncodedDocument> documents_apart(const std::vector<EncodedDocument>& documents,
                                             const TrainingData& held_out);
/// Examples whose files' bytes are not those of a held-out one. @throws Error{kInvalidArgument} when none remain
TrainingData images_apart(const TrainingData& images, const TrainingData& held_out);

/// How much of `held_out` is also learned from: runs of 50 tokens as shared_token_runs, or images with the same bytes.
int64_t shared_examples(const TrainingData& held_out, const TrainingData& learned);

struct FinetuneOptions {
  int64_t steps = 400;
  int64_t batch = 16;      ///< examples at once
  int64_t accumulate = 1;  ///< batches per step
  double learning_rate = 3e-4;
  /// Instead of learning_rate where above 0: by what share of a level's width weights move in a step, so that one rate suits
  /// any number of bits and any model. What is not rounded moves as the mean of all matrices.
  double level_rate = 0;
  int64_t warm_up_steps = 20;
  double weight_decay = 0;  ///< of matrices
  double clip_norm = 1;     ///< of the gradient of all that learns; 0: no limit
  std::string loss = "distillation";
  double feature_weight = 1;  ///< of losses that compare features as well as answers: of these
  /// What that comes to by the end, evenly over the run; below 0: it stays.
  double final_feature_weight = -1;
  std::string weighting = "none";
  std::string sampling = "uniform";
  std::map<std::string, double>
      oversample{};         ///< groups, and how many times as often as sampling has them they are drawn
  double dro_rate = 0.01;   ///< of weighting group-dro
  double cvar_share = 0.3;  ///< of weighting cvar: the worst part of a batch
  /// To what the inputs of matrices are rounded (W8A8, W4A8), in training and in what is measured of the result; never
  /// those of the full-precision model and of the control. Straight through, as weights are.
  Activations activations = Activations::kExact;
  ActivationRanges ranges{};  ///< of static rounding, as activation_ranges() has them
  std::string
      only{};  ///< regular expression: tensors of other names (name_of) stay as they are first rounded; empty: none do
  /// Scales of integer schemes and of GGUF's blocks learn as in LSQ (arXiv 1902.08153), each as it is stored; those of
  /// mxfp4, of the ternary formats and of codebooks of several weights are fitted.
  bool learn_scales = false;
  /// Scales learn, of all schemes that LearnedSteps knows, and weights keep their places among the levels when they do: with a
  /// learning rate by level they move by this part of it, as a share of their size. 0: they do not. Not with learn_scales, nor
  /// with weight_decay: a place has nothing to decay to.
  double scale_rate = 0;
  /// Against weights that go back and forth over a boundary between two levels, as many end up doing (arXiv 2203.11086,
  /// section 4.1): after each step a weight is moved towards the level that it is rounded to, by this times the rate by level
  /// times its way there, rising from 0 at the first step. What a gradient does not hold at a boundary then leaves it. The
  /// paper adds the squared way to the loss instead, which AdamW would rescale weight by weight. Only with level_rate.
  double dampening = 0;
  /// Of matrices only the singular values and so many diagonals beside them learn (arXiv 2407.15508); -1: all weights.
  int64_t singular_band = -1;
  /// Each token of a text is, with this probability, drawn again by the full-precision model whenever it is learned from (or
  /// as draw_ahead or keep_answers have it): its answers off what it has by heart. Labels stay those of the data. Checkpoints
  /// are chosen on such text as well, drawn once. @cost another forward pass of the teacher
  double resample = 0;
  /// The full-precision model answers all texts at once, every so many steps (only once where it draws no token anew), and
  /// its last states are kept on the device: a step then asks it for one product, not a forward pass or two. Tokens are
  /// then drawn only as often, and a text stays as it was drawn in between. Of losses that compare answers. 0: every batch is
  /// answered by itself.
  /// @cost 2 bytes with bf16, else 4, for each token and number of its state, all texts as long as the longest
  int64_t keep_answers = 0;
  /// Tokens are drawn from the answers to how a text was met the last time, which are there anyway, and not from those to the
  /// text as it is: no further forward pass, and the first time a text is met as it is. Of losses that compare answers, with
  /// `resample` and without `keep_answers`; refused where there are no more draws than texts. @cost 8 bytes a token, and 4 in
  /// every checkpoint, all texts as long as the longest
  bool draw_ahead = false;
  bool mirror = false;  ///< an image is mirrored or not, as a coin falls, whenever it is learned from
  int64_t shift = 0;    ///< and moved by up to so many pixels
  /// Decay of a running mean of what learns, which is what is evaluated and kept; 0: the last values are.
  double average = 0;
  /// Share of each image's patches, at least 0 and below 1, that a step shows neither what learns nor full precision (arXiv
  /// 2208.07220).
  double patch_dropout = 0;
  double cutmix = 0;       ///< share of images that a part of another one is pasted into (CutMix); only with a teacher
  double gradient_l1 = 0;  ///< times the sum of the gradient's magnitudes is added to the loss (arXiv 2002.07520)
  double drop_bits =
      0;  ///< probability that a matrix loses its outer levels for a step (as DropBits, arXiv 2109.02100)
  int64_t refit_steps = 50;  ///< scales that do not learn are fitted anew so often, up to 4/5 of the steps; 0: never
  int64_t recode_steps =
      10;  ///< codebooks of several weights are searched so often; between, what is seen of them stays
  int64_t evaluate_steps = 50;         ///< between evaluations on the validation part, each followed by a checkpoint
  std::string objective = "worst-kl";  ///< what the best checkpoint has least of
  int64_t patience = 0;                ///< evaluations without a better one after which it ends; 0: never
  double max_minutes = 0;              ///< of training; 0: no limit. The same call later goes on from the checkpoint
  /// Of training, by the end of which the rate has fallen and it ends, with as many of `steps` as fit; 0: no limit. Not the
  /// same bytes every time.
  double anneal_minutes = 0;
  std::string decay = "cosine";  ///< how the rate falls
  double final_rate = 0.01;      ///< the share of its peak that it falls to, at most 1
  uint64_t seed = 1;
  /// Also trains the same recipe without rounding. Where the full-precision model is all that is learned from, nothing is
  /// left to learn, and the control is that model.
  bool control = false;
  /// Of checkpoints; empty: none. A folder of the same model, data and options is gone on with.
  std::filesystem::path work{};
  /// bf16: of products, twice as fast where the processor has instructions for it (a GPU, AVX512-BF16, AMX), and in float32
  /// where it has none; weights, sums over rows, losses and evaluations stay in float32.
  ComputeOptions compute{};
  /// With bf16 attention by the tensor library's own kernel, whose gradients are sums in any order, and norms, rotations and
  /// gates in passes of our own where the build has CUDA: faster, and not the same bytes every time.
  bool kernel_attention = false;
  bool time_stages = false;  ///< FinetuneCurve::stages are measured, for which the device is waited for
};

/// Sums over the scored tokens, or images, of a group.
struct GroupLoss {
  int64_t examples = 0;
  double scored = 0;       ///< tokens, or images
  double bytes = 0;        ///< UTF-8 that the tokens are; 0 where nobody counted
  Measured kl_nats{};      ///< KL(full precision || model) per token or image; standard errors over examples
  Measured nll_nats{};     ///< likewise; of images by their labels
  Measured right_share{};  ///< of the largest logit
  /// NaN where bytes were not counted: what groups whose tokens differ in length are compared by.
  double nll_nats_per_byte() const;
};

/// Sums over the scored tokens, or images, of each example: what differences are paired by.
struct ExampleLosses {
  std::vector<double> scored, kl_nats, nll_nats, right;
  std::vector<std::string> group;
};

struct FinetuneEvaluation {
  GroupLoss all{};
  std::map<std::string, GroupLoss> groups{};
  ExampleLosses examples{};
  double worst_kl_nats() const;
  /// The group whose KL that is.
  std::string worst_group() const;
};

/// What changed per token or image, with the standard errors of paired differences.
struct LossChange {
  Measured kl_nats{}, nll_nats{}, right_share{};
};
struct FinetuneChanges {
  LossChange all{};
  std::map<std::string, LossChange> groups{};
};
/// `after` less `before`, of the same examples. @throws Error{kInvalidArgument} for others
FinetuneChanges finetune_changes(const FinetuneEvaluation& before, const FinetuneEvaluation& after);

struct FinetunePoint {
  int64_t step = 0;          ///< steps done
  double learning_rate = 0;  ///< of the last one
  double training_loss = 0;  ///< mean since the point before; NaN at step 0
  FinetuneEvaluation validation{};
};

/// Where training's time goes.
struct FinetuneStage {
  std::string name;  ///< "teacher", "forward", "backward" ... of every step, "evaluate", "refit" ... of some
  double seconds = 0;
  int64_t times = 0;
};

struct FinetuneCurve {
  std::vector<FinetunePoint> points;  ///< the first is before any training
  int64_t best_step = 0;
  double best = 0;          ///< the objective there
  std::string objective{};  ///< a row of finetune_objectives(); of the control one of losses
  std::string
      stopped;  ///< "steps", "patience", "minutes", "annealed"; "nothing to learn": see FinetuneOptions::control
  std::vector<FinetuneStage> stages{};  ///< of this call, by FinetuneOptions::time_stages
};

struct FinetuneResult {
  Model model;  ///< the best checkpoint: matrices stored in the plan's schemes, everything else float32
  FinetuneCurve trained;
  std::optional<FinetuneCurve> control;
  std::optional<Model> control_model;
};

/// Chooses among checkpoints, a row each: "worst-kl", "mean-kl", "worst-nll", "mean-nll".
std::vector<std::string> finetune_objectives();
/// "cosine": half of one; "exponential": by the same factor in every part of the time.
std::vector<std::string> finetune_decays();

/// What finetune() would refuse of these before its first step, for who has much to do until then, such as searching values.
/// @throws as finetune()
void check_finetune(const Model& model, const TrainingData& learned, const FinetuneOptions& options);
/// The same of what options.work holds: a run that finetune() would not go on with, whatever it begins with.
/// @throws Error{kInvalidArgument} for a run of another model, plan, calibration, validation data or other options;
///         {kBadFile, kIo}
void check_resumption(const Model& model, const Plan& plan, const Calibration& calibration,
                      const TrainingData& validation, const FinetuneOptions& options);

/// `start`: `model` quantized by the plan, such as quantize(model, calibration, plan, threads).in_memory(), where training
/// begins, so that the plan without training is the first checkpoint; nullptr: the model's weights on scales that are
/// fitted to them.
/// Deterministic by seed, on one device with one number of threads: killed and started again it ends in the same bytes.
/// @cost per step a forward and a backward pass of the model in plain ATen, and a forward pass of the teacher; memory: five
///       times the weights in float32
/// @throws Error{kInvalidArgument} when plan, calibration, data and model do not belong together, for options that cannot
///         be meant, and when a loss is not finite; {kUnsupported} for encoders that answer nothing, and for activations as
///         llama.cpp's kernels round them; {kBadFile} for a checkpoint of something else
FinetuneResult finetune(const Model& model, const Plan& plan, const Calibration& calibration,
                        const TrainingData& learned, const TrainingData& validation, const FinetuneOptions& options,
                        ProgressSink* progress = nullptr, const Model* start = nullptr);

/// `other` beside `model` on held-out examples: KL is from `model`'s answers. options.activations are `other`'s.
/// @throws as finetune
FinetuneEvaluation evaluate_finetuned(const Model& model, const Model& other, const TrainingData& held_out,
                                      const FinetuneOptions& options, ProgressSink* progress = nullptr);

/// What is measured, with its activations rounded in that way.
struct MeasuredModel {
  const Model* model = nullptr;
  Activations activations = Activations::kExact;
};
/// The same of several at once, for all of which `model`, which may be one of them, answers once. Of options activations
/// are not read. @return in their order
std::vector<FinetuneEvaluation> evaluate_finetuned(const Model& model, const std::vector<MeasuredModel>& others,
                                                   const TrainingData& held_out, const FinetuneOptions& options,
                                                   ProgressSink* progress = nullptr);

/// The plan of a model that was trained by `plan`: nothing is searched anew, since its matrices are stored in it already.
Plan finetuned_plan(const Plan& plan);

nlohmann::ordered_json finetune_curve_to_json(const FinetuneCurve& curve);
nlohmann::ordered_json finetune_evaluation_to_json(const FinetuneEvaluation& evaluation);
nlohmann::ordered_json finetune_changes_to_json(const FinetuneChanges& changes);
nlohmann::ordered_json finetune_options_to_json(const FinetuneOptions& options);

}  // namespace vernier
