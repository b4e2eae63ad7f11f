#include "vernier/finetune.h"

#include <fmt/format.h>

#include <cstddef>
#include <vector>

#include "base/fail.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/finetune_preset.h"
#include "cli/finetune_rows.h"
#include "cli/finetune_table.h"
#include "cli/given_options.h"
#include "cli/image_arguments.h"
#include "cli/named_numbers.h"
#include "cli/plan_argument.h"
#include "cli/subcommands.h"
#include "data/text_kind.h"
#include "report/finetune_data.h"
#include "vernier/classify.h"
#include "vernier/export.h"
#include "vernier/planning.h"
#include "vernier/report.h"
#include "vernier/stored_matrix.h"
#include "vernier/value_search.h"
#include "vernier/version.h"

namespace vernier {

namespace {

struct FinetuneArguments {
  const CLI::App* command = nullptr;
  std::string model, data, groups, filter, attribute, prompts, begin, target, output, preset, activations = "exact";
  int64_t context = 512, self_text = 0, self_kept = 8, validation_examples = 256;
  double validation_share = 0.05;
  std::vector<std::string> oversample;
  bool allow_shared = false, drop_shared = false, begin_fitted = false;
  PlanArgument plan;
  CalibrationArgument calibration;
  FinetuneOptions options;
  ExportOptions file;
  ComputeArguments compute;
  JsonArgument json;
  CommandFiles io;
};

void add_training_options(CLI::App& command, FinetuneOptions& o, std::vector<std::string>& oversample) {
  add_option(command, "--loss", o.loss, rows_help(losses()))->capture_default_str();
  add_option(command, "--feature-weight", o.feature_weight,
             "Of losses that compare streams, or unit vectors, as well: their weight beside the answers'")
      ->capture_default_str();
  add_option(command, "--final-feature-weight", o.final_feature_weight,
             "What that weight comes to by the end, evenly; below 0: it stays")
      ->capture_default_str();
  add_option(command, "--weighting", o.weighting, rows_help(weightings()))->capture_default_str();
  add_option(command, "--sampling", o.sampling, rows_help(samplings()))->capture_default_str();
  add_option(command, "--oversample", oversample,
             "GROUP=TIMES ...: such groups of --data are drawn so many times as often as --sampling has them");
  add_option(command, "--dro-rate", o.dro_rate, "How fast group-dro follows losses")->capture_default_str();
  add_option(command, "--cvar-share", o.cvar_share, "Of a batch, its worst part, that cvar learns from")
      ->capture_default_str();
  add_option(command, "--only", o.only, "Regular expression: tensors of other names stay as they are first rounded");
  add_option(command, "--recode-steps", o.recode_steps, "Search codebooks of several weights anew every N steps")
      ->capture_default_str();
  add_option(command, "--singular-band", o.singular_band,
             "Of matrices only singular values and N diagonals beside them learn; -1: all weights")
      ->capture_default_str();
  add_option(command, "--keep-answers", o.keep_answers,
             "Of texts: the full-precision model answers all of them at once, every N steps, and what it says is kept "
             "on the device; 0: it answers each batch by itself")
      ->capture_default_str();
  add_option(
      command, "--resample", o.resample,
      "Of texts: the full-precision model draws each token anew with this probability whenever it is learned from")
      ->capture_default_str();
  add_flag(command, "--draw-ahead", o.draw_ahead,
           "... from what it said when the text was met last: a forward pass less in every step, where texts are met "
           "several times");
  add_option(command, "--average", o.average, "Evaluate and keep a running mean of what learns, of this decay; 0: none")
      ->capture_default_str();
  add_option(command, "--shift", o.shift, "Of images: move each by up to N pixels whenever it is learned from")
      ->capture_default_str();
  add_flag(command, "--mirror", o.mirror, "Of images: mirror half of them, by chance, whenever they are learned from");
  add_option(command, "--cutmix", o.cutmix,
             "Of images: paste a part of another one into this share of them (CutMix), for the teacher to answer to")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_option(
      command, "--patch-dropout", o.patch_dropout,
      "Of images: each step leaves this share of every image's patches out, which takes nearly that much less time")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_option(command, "--gradient-l1", o.gradient_l1, "Weight of the gradient's magnitudes in the loss")
      ->capture_default_str();
  add_option(command, "--drop-bits", o.drop_bits, "Probability that a matrix does without its outer levels for a step")
      ->capture_default_str();
  add_flag(command, "--learn-scales", o.learn_scales, "Scales of integer schemes and of GGUF's blocks learn too (LSQ)");
  add_option(
      command, "--scale-rate", o.scale_rate,
      "Scales learn too and weights keep their places on them: by this part of --level-rate, as a share of their "
      "size; 0: fitted ones")
      ->capture_default_str();
  add_option(
      command, "--dampening", o.dampening,
      "Weights leave the boundaries between levels, where many would go back and forth: after each step this times "
      "--level-rate of the way to their level, rising from 0; 0.4 where training is long, 0: none")
      ->capture_default_str();
  add_option(command, "--refit-steps", o.refit_steps, "Fit scales that do not learn anew every N steps; 0: never")
      ->capture_default_str();
  add_option(command, "--steps", o.steps, "Steps of the optimizer")->capture_default_str();
  add_option(command, "--batch", o.batch, "Windows or images at once")->capture_default_str();
  add_option(command, "--accumulate", o.accumulate, "Batches per step")->capture_default_str();
  add_option(command, "--learning-rate", o.learning_rate, "Of AdamW, at its peak")->capture_default_str();
  add_option(command, "--level-rate", o.level_rate,
             "Instead of --learning-rate: by what share of a level's width weights move in a step; 0: --learning-rate")
      ->capture_default_str();
  add_option(command, "--warm-up", o.warm_up_steps, "Steps over which the rate rises")->capture_default_str();
  add_option(command, "--weight-decay", o.weight_decay, "Of matrices")->capture_default_str();
  add_option(command, "--clip", o.clip_norm, "Largest norm of a gradient; 0: any")->capture_default_str();
  add_option(command, "--evaluate-steps", o.evaluate_steps, "Steps between evaluations, and checkpoints")
      ->capture_default_str();
  add_option(command, "--objective", o.objective, "What the best checkpoint has least of, on the validation part")
      ->check(CLI::IsMember(finetune_objectives()))
      ->capture_default_str();
  add_option(command, "--patience", o.patience, "End after N evaluations without a better one; 0: never")
      ->capture_default_str();
  add_option(command, "--max-minutes", o.max_minutes, "End so late; the same call later goes on. 0: no limit")
      ->capture_default_str();
  add_option(command, "--anneal-minutes", o.anneal_minutes,
             "End so late with the rate fallen, after as many of --steps as fit; 0: no limit")
      ->capture_default_str();
  add_option(command, "--decay", o.decay,
             "How the rate falls: cosine, or exponential, which spends most of the time low")
      ->check(CLI::IsMember(finetune_decays()))
      ->capture_default_str();
  add_option(command, "--final-rate", o.final_rate, "The share of its peak that the rate falls to")
      ->capture_default_str();
  add_option(command, "--seed", o.seed, "Of sampling and of what is kept apart")->capture_default_str();
  add_flag(command, "--kernel-attention", o.kernel_attention,
           "With --dtype bf16 attention by libtorch's own kernel and what lies around it in fewer passes: faster, but "
           "not the same bytes every time");
  add_flag(command, "--time-stages", o.time_stages, "Say where the time of a step goes, waiting for the device");
  add_flag(command, "--control", o.control, "Also train the same recipe without rounding, for comparison");
}

bool sees_images(const Model& model) { return !model.config().is_language_model(); }

std::vector<Document> training_documents(const std::string& path) {
  if (path.ends_with(".csv") || path.ends_with(".tsv") || kind_of_text(path) == TextKind::kPairs)
    fail(ErrorKind::kInvalidArgument,
         "finetune: --data {}: a table, whose commas nobody means to teach; expected text, or JSON lines "
         "{{\"text\": ..., \"group\": ...}}",
         path);
  if (path.ends_with(".jsonl") || path.ends_with(".json")) return read_documents(path);
  const std::string text = read_text_file(path).text;
  if (holds_documents(text)) return read_documents(path);  // nobody means the braces and escapes
  return {Document{text, ""}};
}

/// What a calibration was made from, window by window.
std::vector<EncodedDocument> calibrated_windows(const Model& model, const std::string& path) {
  const Calibration calibration = load_calibration(path);
  check_calibration(calibration, model);
  if (calibration.text.empty())
    fail(ErrorKind::kInvalidArgument,
         "finetune: --data {}: this calibration keeps no text; make it anew with `vernier calibrate`", path);
  std::vector<EncodedDocument> windows;
  for (const CalibrationWindow& window : calibration.text) windows.push_back({window.tokens, ""});
  return windows;
}

/// Classes are the model's, or, of one that learns them from texts, those of --data.
LabelledImages labelled_images(const Model& model, const FinetuneArguments& a, const std::string& path) {
  const std::vector<std::string> own = class_names_of(model);
  const bool named = !own.empty() || path == a.data;
  return read_labelled_images(path, named ? own : read_labelled_images(a.data).classes);
}

TrainingData image_data(const Model& model, const FinetuneArguments& a, const std::string& path, int threads) {
  return training_images(model, labelled_images(model, a, path), a.attribute, threads,
                         a.prompts.empty() ? known_prompt_templates().front() : prompt_templates(a.prompts));
}

std::optional<TrainingData> held_out_data(const Model& model, const FinetuneArguments& a, int threads,
                                          Console& console) {
  if (a.groups.empty()) return std::nullopt;
  if (sees_images(model)) return image_data(model, a, a.groups, threads);
  const Tokenizer tokenizer(open_tokenizer(model, console));
  return held_out_text(
      document_windows(tokenizer, a.groups, read_documents(a.groups, a.filter), {.context = a.context}));
}

/// What is learned from, and how much was left out since it is held out as well.
struct LearnedData {
  TrainingData all;
  int64_t dropped = 0;
};

LearnedData learned_data(const Model& model, const FinetuneArguments& a, const std::optional<TrainingData>& held_out,
                         int threads, Console& console) {
  const bool drops = held_out && a.drop_shared;
  if (sees_images(model)) {
    const TrainingData images = image_data(model, a, a.data, threads);
    const TrainingData apart = drops ? images_apart(images, *held_out) : images;
    return {apart, images.size() - apart.size()};
  }
  const Tokenizer tokenizer(open_tokenizer(model, console));
  const bool calibrated = is_safetensors(a.data);
  const std::vector<EncodedDocument> documents =
      calibrated ? calibrated_windows(model, a.data)
                 : encoded_documents(tokenizer, training_documents(a.data), threads);
  const std::vector<EncodedDocument> apart = drops ? documents_apart(documents, *held_out) : documents;
  return {calibrated ? training_windows(a.data, apart) : training_text(tokenizer, a.data, apart, a.context),
          static_cast<int64_t>(documents.size() - apart.size())};
}

void check_shared(const TrainingData& held_out, const TrainingData& all, const FinetuneArguments& a, Console& console) {
  const int64_t shared = shared_examples(held_out, all);
  if (shared == 0) return;
  const std::string what = fmt::format("finetune: {} and {} share {} {}: what is measured there was learned", a.data,
                                       a.groups, shared, held_out.pixels.defined() ? "images" : "runs of 50 tokens");
  if (!a.allow_shared)
    fail(ErrorKind::kInvalidArgument, "{}; --drop-shared leaves them out, --allow-shared learns them nevertheless",
         what);
  console.progress.warn(what);
}

/// The target that is named, else the plan's own, else the first that takes such models.
const Target& target_of(const FinetuneArguments& a, const Model& model) {
  if (!a.target.empty()) return find_target(a.target);
  if (!a.plan.plan.empty()) return find_target(plan_from_json(read_artefact(a.plan.plan, "plan"), a.plan.plan).target);
  return find_target(sees_images(model) ? "huggingface" : "llama.cpp");
}

/// Of every group so much that its share of what the model wrote is the same: a rare one is learned from as often as
/// --sampling says, and not nearly only from that.
TrainingData self_written(const Model& model, const TrainingData& learned, const FinetuneArguments& a,
                          Console& console) {
  return self_written_text(model, learned, a.self_text, a.self_kept, "uniform", a.options.seed, a.options.compute,
                           &console.progress);
}

/// A matrix of a file in its bytes, those that hold plain values as well.
StoredMatrix stored_matrix(const Model& model, const TensorId& id) {
  if (const StoredMatrix* stored = model.stored(id)) return *stored;
  const at::Tensor values = model.weight(id).to(at::kFloat).contiguous();
  const int64_t rows = values.size(0), cols = values.size(1);
  const Scheme scheme = model.scheme_in_file(id);
  std::vector<std::byte> bytes(scheme.bytes(rows, cols));
  encode(scheme, {values.data_ptr<float>(), static_cast<size_t>(values.numel())}, rows, cols, {}, bytes);
  return {scheme, {rows, cols}, bytes};
}

/// --begin: the same model as the plan rounds it, searched before. What is not rounded is the file's, too: a search may
/// have folded scales into norms.
Model begun(const Model& model, const Plan& plan, const FinetuneArguments& a, Console& console) {
  const Model given = open_model(a.begin, console);
  Model begins(model.config(), model.source());
  for (const TensorId& id : model.tensors()) {
    if (!given.has(id) || given.weight(id).sizes() != model.weight(id).sizes())
      fail(ErrorKind::kInvalidArgument, "finetune: --begin {}: no {} of {}; expected a file of {}", a.begin,
           name_of(id), c10::str(model.weight(id).sizes()), model.source().name);
    begins.set_weight(id, given.weight(id));
  }
  for (const auto& [id, scheme] : schemes_of(plan, model)) {
    if (!(given.scheme_in_file(id) == scheme))
      fail(ErrorKind::kInvalidArgument,
           "finetune: --begin {}: {} is {}, the plan has {}; make it by the same plan with `vernier export`", a.begin,
           name_of(id), given.scheme_in_file(id).name(), scheme.name());
    begins.set_stored(id, stored_matrix(given, id));
  }
  return begins;
}

/// Who names a search of values that wants a calibration is asked for it; the plan's own gives way with a word.
void check_method(const Plan& plan, const FinetuneArguments& a, Console& console) {
  if (!a.begin.empty() || a.begin_fitted || !a.calibration.path.empty()) return;
  if (!a.plan.method.empty()) calibration_for(plan, a.calibration);  // says what is missing
  if (find_value_search(plan.method).needs != ValueSearch::Needs::kNothing)
    console.progress.warn(
        fmt::format("training begins with nearest values, not with those that the plan's method {} finds: give "
                    "--calibration for these",
                    plan.method));
}

/// What the plan is without training.
Model untrained(const Model& model, const Plan& plan, const FinetuneArguments& a, int threads, Console& console) {
  if (!a.begin.empty()) return begun(model, plan, a, console);
  Plan by = plan;
  if (a.calibration.path.empty()) by.method = "nearest";
  return quantize(model, a.calibration.path.empty() ? Calibration() : a.calibration.load(), by, threads).in_memory();
}

/// What this model's kind of data, or the lack of held-out data, gives no meaning.
void refuse_unheard(const FinetuneArguments& a, const Model& model) {
  const std::string& name = model.source().name;
  require_texts({a.data}, model, "finetune");
  if (!a.groups.empty()) require_texts({a.groups}, model, "finetune");
  if (model.config().is_language_model())
    refuse_given("finetune", *a.command,
                 {"--shift", "--mirror", "--cutmix", "--patch-dropout", "--attribute", "--prompts"},
                 fmt::format("of models that see; {} reads", name));
  else
    refuse_text_options("finetune", *a.command,
                        {"--context", "--filter", "--self-text", "--self-kept", "--resample", "--draw-ahead",
                         "--keep-answers", "--tokenizer-pre", "--tokenizer-pre-unchecked"},
                        name);
  if (a.groups.empty())
    refuse_given("finetune", *a.command, {"--drop-shared", "--allow-shared", "--filter"},
                 "of --groups, which is not given");
}

void run_finetune(FinetuneArguments& a, Console& console) {
  a.io.check();
  for (const auto& [group, times] : named_numbers(a.oversample, "--oversample", "GROUP=TIMES, such as en-US=3"))
    a.options.oversample[group] = times;
  a.options.compute = a.compute.options(console);
  a.options.activations = Activations::parse(a.activations);  // before much is read
  const int threads = resolve_threads(a.options.compute);
  const Model model = open_model(a.model, console);
  if (!a.preset.empty()) check_preset(a.preset, model);
  refuse_unheard(a, model);
  const Target& target = target_of(a, model);
  const TokenizerModel tokenizer = open_tokenizer_for(target, model, console);
  // Whether they belong apart is known first.
  const std::optional<TrainingData> held_out = held_out_data(model, a, threads, console);
  const LearnedData data = learned_data(model, a, held_out, threads, console);
  const TrainingData& all = data.all;
  if (held_out) check_shared(*held_out, all, a, console);
  if (data.dropped > 0)
    console.progress.warn(fmt::format("finetune: left out {} {} of {} that {} holds as well", data.dropped,
                                      all.pixels.defined() ? "images" : "documents", a.data, a.groups));
  const Plan plan = a.plan.load(model, target.name, console);
  check_method(plan, a, console);
  if (a.options.weighting == "group-dro" && a.options.sampling == "uniform")
    console.progress.warn(
        "--weighting group-dro takes a group that is not in the batch for one without loss: --sampling balanced has "
        "all");
  const Calibration calibration = a.calibration.path.empty() ? Calibration() : a.calibration.load();
  const uint64_t bytes = target.file_bytes(model, finetuned_plan(plan), tokenizer, a.file);
  a.options.ranges = activation_ranges(calibration);
  const auto [learned, validation] = split_training_data(all, a.validation_share, a.options.seed);
  check_finetune(model, learned, a.options);  // values are searched for minutes
  const std::filesystem::path output = a.output;
  a.options.work = output / "work";
  const TrainingData watched = some_of_each_group(
      held_out ? examples_of_groups(validation, held_out->groups) : validation, a.validation_examples);
  check_resumption(model, plan, calibration, watched, a.options);
  const TrainingData also =
      a.self_text > 0 ? joined_training_data(learned, self_written(model, learned, a, console)) : learned;
  const Model before = untrained(model, plan, a, threads, console);
  const FinetuneResult result = finetune(model, plan, calibration, also, watched, a.options, &console.progress,
                                         a.begin_fitted ? nullptr : &before);

  std::vector<FinetuneRow> rows;
  const TrainingData& measured = held_out ? *held_out : validation;
  std::vector<const char*> names{"full precision", "before", "after"};
  std::vector<MeasuredModel> others{{&model}, {&before, a.options.activations}, {&result.model, a.options.activations}};
  if (result.control_model) {
    names.push_back("control");
    others.push_back({&*result.control_model});
  }
  std::vector<FinetuneEvaluation> evaluations =
      evaluate_finetuned(model, others, measured, a.options, &console.progress);
  for (size_t i = 0; i < names.size(); ++i) rows.push_back({names[i], std::move(evaluations[i])});

  const Plan made = finetuned_plan(plan);
  export_model(target, quantize(result.model, {}, made, threads), tokenizer, output / target.output, a.file,
               &console.progress);
  write_json(output / "plan.json", plan_to_json(made));
  Json json = {{"kind", "finetune"},
               {"schema_version", 1},
               {"tool_version", VERNIER_VERSION},
               {"model", model.source().name},
               {"model_hash", model_hash(model)},
               {"plan", plan.label},
               {"tensor_bytes", plan.tensor_bytes},
               {"file_bytes", bytes},
               {"data",
                {{"name", also.name},
                 {"hash", also.hash},
                 {"learned", also.size()},
                 {"validation", validation.size()},
                 {"watched", watched.size()},
                 {"dropped", data.dropped}}},
               {"measured_on", {{"name", measured.name}, {"hash", measured.hash}, {"held_out", held_out.has_value()}}},
               {"options", finetune_options_to_json(a.options)},
               {"trained", finetune_curve_to_json(result.trained)}};
  if (result.control) json["control"] = finetune_curve_to_json(*result.control);
  json["models"] = Json::object();
  for (const FinetuneRow& row : rows) json["models"][row.name] = finetune_evaluation_to_json(row.evaluation);
  json["changes"] = finetune_changes_to_json(finetune_changes(rows[1].evaluation, rows[2].evaluation));
  write_json(output / "finetune.json", json);
  write_report(output / "report.html", finetune_data(json));
  if (a.json.write(json, console)) return;
  print_finetuned(rows, result.trained, console);
  fmt::print(console.out, "{}: {} bytes\n", (output / target.output).string(), bytes);
}

}  // namespace

void add_finetune(CLI::App& app, Console& console) {
  auto* command =
      app.add_subcommand("finetune", "Train with the plan's rounding in the loop, so that nobody is left behind");
  auto a = std::make_shared<FinetuneArguments>();
  a->command = command;
  add_model(*command, a->io, a->model);
  a->plan.add(*command, a->io);
  a->calibration.add(*command, a->io);
  add_option(
      *command, "--data", a->data,
      "To learn from: JSON lines {\"text\": ..., \"group\": ...}, a text file, or the windows of a "
      "calibration.safetensors; for a model that sees a manifest (CSV: path, label, groups) or a folder of classes")
      ->required()
      ->check(CLI::ExistingPath);
  a->io.reads(a->data);
  add_option(*command, "--groups", a->groups,
             "Held out, JSON lines with groups or images as --data: every group is measured before and after")
      ->check(CLI::ExistingPath);
  a->io.reads(a->groups);
  add_option(*command, "--filter", a->filter, "Keep only held-out documents whose KEY prints as VALUE")
      ->type_name("KEY=VALUE");
  add_option(*command, "--attribute", a->attribute, "Of images: the column of groups, or class");
  add_option(*command, "--prompts", a->prompts, "Of CLIP: single, best-7, or a file with a template per line");
  a->io.reads(a->prompts);
  add_option(*command, "--activations", a->activations,
             "Also round the inputs of matrices: int8:token (dynamic), int8:tensor (static, needs --calibration) ...")
      ->capture_default_str();
  add_option(*command, "--context", a->context, "Tokens per window")->check(context_range())->capture_default_str();
  add_flag(*command, "--begin-fitted", a->begin_fitted,
           "Begin with the model's weights on fitted scales, not with the values that --method finds");
  add_option(
      *command, "--begin", a->begin,
      "Begin with the values of this file of the same plan (`vernier export`), not with those that --method finds")
      ->excludes("--begin-fitted")
      ->check(CLI::ExistingPath);
  a->io.reads(a->begin);
  add_option(*command, "--self-text", a->self_text,
             "Also learn from N windows that the model writes itself, beginning like those of --data; 0: none")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--self-kept", a->self_kept, "Tokens of --data that those begin with")->capture_default_str();
  add_option(*command, "--validation-share", a->validation_share,
             "Of each group of --data, kept apart to choose the best checkpoint")
      ->capture_default_str();
  add_option(*command, "--validation-examples", a->validation_examples,
             "So many of those, of every group alike, are measured every --evaluate-steps")
      ->check(within(1, int64_t{1} << 40))
      ->capture_default_str();
  add_flag(*command, "--drop-shared", a->drop_shared,
           "Leave out of --data the documents, or images, that share anything with --groups");
  add_flag(*command, "--allow-shared", a->allow_shared, "Only warn where held-out examples are also learned from");
  std::vector<std::string> presets;
  for (const FinetunePreset& row : finetune_presets()) presets.push_back(row.name);
  add_option(*command, "--preset", a->preset, "Options that go together, for those not given: " + presets_help())
      ->check(CLI::IsMember(presets));
  add_training_options(*command, a->options, a->oversample);
  add_option(*command, "--target", a->target, "Who must load the result, by default whom the plan is for");
  add_export_options(*command, a->file);
  std::vector<std::string> names{"finetune.json", "plan.json", "report.html", "work/"};
  for (const Target& row : targets()) names.push_back(row.output + (row.is_folder() ? "/" : ""));
  add_option(*command, "-o,--output", a->output, "Folder to write; a killed run goes on in it")
      ->check(named())
      ->required();
  a->io.writes_folder("--output", a->output, names);
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, command, &console] {
    if (!a->preset.empty()) follow_preset(*command, a->preset);
    run_finetune(*a, console);
  });
}

}  // namespace vernier
