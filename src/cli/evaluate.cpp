#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/fail.h"
#include "base/text_table.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/evaluate_reliability.h"
#include "cli/given_options.h"
#include "cli/image_arguments.h"
#include "cli/plan_table.h"
#include "cli/same_ids.h"
#include "cli/subcommands.h"
#include "data/image_subset.h"
#include "evaluate/tails.h"
#include "run/source.h"
#include "vernier/evaluate_images.h"
#include "vernier/evaluation_file.h"
#include "vernier/metric.h"
#include "vernier/planning.h"

namespace vernier {

namespace {

/// `fewer` digits than the metric's table has.
std::string with_error(const Metric& metric, const Measured& m, int fewer = 0) {
  const double mean = metric.scale * m.mean, error = metric.scale * m.standard_error;
  const int digits = metric.decimals - fewer;
  return fmt::format("{:.{}f} ± {}", mean, digits, number_cell(error, digits));
}

const std::vector<Metric>& metrics_of(bool images) { return images ? image_metrics() : metrics(); }

void print_groups(const std::map<std::string, Scores>& groups, bool images, std::FILE* out) {
  std::vector<std::string> header{"group"};
  for (const char* counted : images ? std::vector{"images"} : std::vector{"documents", "tokens"})
    header.emplace_back(counted);
  std::vector<const Metric*> columns;
  for (const Metric& metric : metrics_of(images))
    if (metric.column_of_groups && std::any_of(groups.begin(), groups.end(), [&](const auto& group) {
          return group.second.find(metric.key) != nullptr;
        })) {
      columns.push_back(&metric);
      header.emplace_back(metric.name);
    }
  TextTable table(header);
  for (const auto& [name, scores] : groups) {
    std::vector<std::string> row{name};
    if (!images) row.push_back(fmt::format("{}", scores.documents));
    row.push_back(fmt::format("{}", scores.tokens));
    for (const Metric* metric : columns) {
      const Measured* value = scores.find(metric->key);
      row.push_back(value != nullptr ? with_error(*metric, *value, 1) : "");
    }
    table.add(row);
  }
  fmt::print(out, "\n{}", table.str(static_cast<size_t>(terminal_width(out))));
}

/// `reference`: whose own figures stand beside; nullptr: none, or text, whose metrics hold them.
void print_evaluation(const Evaluation& e, const Evaluation* reference, bool images, std::FILE* out) {
  std::vector<std::string> header{"figure", "value"};
  if (reference != nullptr) header.push_back(reference->model_name);
  TextTable table(header);
  if (e.activations == Activations::kLlamaCpp)
    table.add({"activations", "rounded as llama.cpp does"});
  else if (e.activations != Activations::kExact)
    table.add({"activations", e.activations.name()});
  if (images)
    table.add({"images", fmt::format("{}", e.all.tokens)});
  else
    table.add({"tokens scored", fmt::format("{} in {} windows of {}", e.all.tokens, e.data.windows, e.data.context)});
  for (const Metric& metric : metrics_of(images)) {
    const Measured* value = e.all.find(metric.key);
    const Measured* other = reference != nullptr ? reference->all.find(metric.key) : nullptr;
    if (value == nullptr) continue;
    std::vector<std::string> row{std::string(metric.name), with_error(metric, *value)};
    if (other != nullptr) row.push_back(with_error(metric, *other));
    table.add(row);
  }
  if (e.tails)
    for (const TailRow& row : tail_rows())
      table.add({std::string(row.name), fmt::format("{:.{}f}", row.scale * (*e.tails).*row.value, row.decimals)});
  fmt::print(out, "{} on {}\n{}", e.model_name, e.data.name, table.str(static_cast<size_t>(terminal_width(out))));
  if (!e.groups.empty()) print_groups(e.groups, images, out);
}

EvaluationRow row_of(const Model& model, const std::string& kind) {
  const uint64_t bytes = source_bytes(model);
  return {.label = model.source().name, .kind = kind, .bytes = bytes, .bits_per_weight = bits_per_weight(bytes, model)};
}

Json token_log(const Evaluation& e, const EvaluationData& data) {
  Json json = Json::array();
  for (size_t w = 0; w < e.tokens.size(); ++w) {
    Json scores = Json::array();
    for (const TokenScore& score : e.tokens[w]) scores.push_back(score.log_p);
    json.push_back({{"tokens", data.windows[w].tokens}, {"first_row", data.windows[w].first_row}, {"log_p", scores}});
  }
  return json;
}

struct Arguments {
  const CLI::App* command = nullptr;
  std::string model, reference, token_log, activations = "exact";
  bool different_tokenizers = false;
  DataArguments data;
  ImageArguments images;
  int64_t image_count = 0;
  CalibrationArgument calibration;
  ComputeArguments compute;
  ReliabilityArguments reliability;
  JsonArgument json;
  CommandFiles io;

  EvaluateOptions options(const Model& model, const Model* compared, Console& console) const {
    return {compute.options(console), !token_log.empty(), Activations::parse(activations),
            calibration.ranges({&model, compared}, console)};
  }
};

void evaluate_on_images(const Arguments& a, const Model& model, const Model* reference, Console& console) {
  refuse_text_options(
      "evaluate", *a.command,
      {"--token-log", "--groups", "--filter", "--windows", "--context", "--score", "--different-tokenizers"},
      model.source().name);
  const LabelledImages images =
      spread_images(a.images.read(image_set_of(a.data.data, model, "evaluate"), model, console), a.image_count);
  const EvaluateOptions options = a.options(model, reference, console);
  const std::vector<Evaluation> evaluations = evaluate_images(
      {&model}, reference, images,
      {prompt_templates(a.images.prompts), options.compute, options.activations, options.ranges}, &console.progress);
  EvaluationFile file = evaluation_file(evaluations.front());
  file.of_images = true;
  if (reference != nullptr) file.rows.push_back(evaluation_row(row_of(*reference, "reference"), evaluations.back()));
  file.rows.push_back(evaluation_row(row_of(model, "model"), evaluations.front()));
  if (a.json.write(evaluation_file_to_json(file), console)) return;
  print_evaluation(evaluations.front(), reference != nullptr ? &evaluations.back() : nullptr, true, console.out);
}

void evaluate_on_text(const Arguments& a, const Model& model, const Model* reference, Console& console) {
  require_texts(a.data.data, model, "evaluate");
  refuse_image_options("evaluate", *a.command, model.source().name);
  const EvaluateOptions options = a.options(model, reference, console);
  const Tokenizer tokenizer(open_tokenizer(model, console));
  if (reference != nullptr)
    require_same_ids("evaluate", model, tokenizer, *reference, a.data.texts(console), a.different_tokenizers, console);
  // Documents alone when only they are named: the built-in text is for those who name nothing.
  const std::optional<EvaluationData> documents = a.data.documents(tokenizer, console);
  const bool both = documents && !a.data.data.empty();
  if (documents && !both)
    refuse_given("evaluate", *a.command, {"--windows", "--score"}, "of --data; of --groups all documents are measured");
  const EvaluationData data = documents && !both ? *documents : a.data.text(tokenizer, console);
  const auto evaluate_on = [&](const EvaluationData& d) {
    warn_beyond_context(model, d, console);
    return evaluate({&model}, reference, d, options, &console.progress)[0];
  };
  const Evaluation evaluation = evaluate_on(data);
  std::optional<Evaluation> groups;
  if (both) groups = evaluate_on(*documents);
  const Evaluation* separate = groups ? &*groups : nullptr;
  EvaluationFile file = evaluation_file(evaluation, separate);
  if (reference != nullptr) {
    file.rows.push_back(row_of(*reference, "reference"));
    file.rows.back().text = scores_of_reference(evaluation.all);
  }
  file.rows.push_back(evaluation_row(row_of(model, "model"), evaluation, separate));
  if (!a.token_log.empty()) write_json(a.token_log, token_log(evaluation, data));
  if (a.json.write(evaluation_file_to_json(file), console)) return;
  print_evaluation(evaluation, nullptr, false, console.out);
  if (groups) print_evaluation(*groups, nullptr, false, console.out);
}

}  // namespace

void add_evaluate(CLI::App& app, Console& console) {
  auto* command =
      app.add_subcommand("evaluate", "Perplexity or accuracy, KL to a reference and damage per group; or reliability");
  auto a = std::make_shared<Arguments>();
  a->command = command;
  add_model(*command, a->io, a->model);
  add_option(*command, "--reference", a->reference, "Model to compare with, such as the one in full precision");
  a->io.reads_model(a->reference);
  add_flag(*command, "--different-tokenizers", a->different_tokenizers,
           "Compare although the reference reads the text as other tokens");
  a->data.add(
      *command, a->io,
      "; for a model that sees a manifest (CSV: path, label and a column per attribute) or a folder of classes");
  a->images.add(*command, a->io);
  add_option(*command, "--images", a->image_count, "Use N images, evenly over their classes; 0: all")
      ->check(count_range());
  add_option(
      *command, "--activations", a->activations,
      "exact; llama.cpp: rounded as its CPU kernels do beside the quantized matrices of a GGUF file; int8:token, "
      "int4:token ...: by the range of each token; int8:tensor ...: by ranges of --calibration")
      ->capture_default_str();
  a->calibration.add(*command, a->io);
  add_output(*command, a->io, "--token-log", a->token_log,
             "Also write every window's tokens and log-probabilities as JSON");
  a->compute.add(*command);
  a->reliability.add(*command, a->io);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    if (a->reliability.wanted) {
      if (!a->token_log.empty())
        fail(ErrorKind::kInvalidArgument,
             "evaluate: --token-log is written without --reliability; leave one of them out");
      a->reliability.run(
          {*a->command, a->model, a->reference, a->data, a->images, a->image_count, a->compute.options(console),
           Activations::parse(a->activations), a->calibration, a->different_tokenizers},
          a->json, console);
      return;
    }
    const Model model = open_model(a->model, console);
    const std::optional<Model> reference =
        a->reference.empty() ? std::nullopt : std::optional<Model>(open_model(a->reference, console));
    const Model* compared = reference ? &*reference : nullptr;
    if (compared != nullptr && compared->config().is_language_model() != model.config().is_language_model())
      fail(ErrorKind::kInvalidArgument, "evaluate: one of {} and {} reads text, the other one sees images",
           model.source().name, compared->source().name);
    (model.config().is_language_model() ? evaluate_on_text : evaluate_on_images)(*a, model, compared, console);
  });
}

}  // namespace vernier
