#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/fail.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/given_options.h"
#include "cli/group_sizes.h"
#include "cli/groups_data.h"
#include "cli/groups_table.h"
#include "cli/named_numbers.h"
#include "cli/plan_argument.h"
#include "cli/same_ids.h"
#include "cli/subcommands.h"
#include "vernier/curvature.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/value_search.h"

namespace vernier {

namespace {

struct Arguments {
  const CLI::App* command = nullptr;
  std::string model, reference, method, sizes, output, activations = "exact";
  int64_t curvature = 0;  ///< examples of each group
  std::vector<std::string> schemes, tolerances;
  bool different_tokenizers = false;
  CalibrationArgument calibration;
  GroupDataArgument data;
  GroupOptions groups;
  ComputeArguments compute;
  JsonArgument json;
  CommandFiles io;
};

/// Before anything is measured.
void require_figure(const std::string& key) {
  std::string known = "demographic_parity, equalized_odds";
  for (const GroupFigure& figure : group_figures()) {
    if (figure.key == key) return;
    known += fmt::format(", {}", figure.key);
  }
  if (key != "demographic_parity" && key != "equalized_odds")
    fail(ErrorKind::kInvalidArgument, "--tolerance: no figure is named \"{}\"; expected one of {}", key, known);
}

/// The model with every matrix in one scheme.
struct UniformModel {
  std::string label;
  Model model;
  uint64_t bytes = 0;  ///< of its matrices
};

UniformModel uniform_model(const Model& model, const std::string& scheme, const Arguments& a, int threads,
                           Console& console) {
  Plan plan = plan_uniform(model, scheme, "huggingface");
  plan.method = !a.method.empty() ? a.method : a.calibration.path.empty() ? "nearest" : "importance";
  for (const std::string& line : fallback_lines(plan)) console.progress.warn(line);
  const QuantizedModel quantized = quantize(model, calibration_for(plan, a.calibration), plan, threads);
  // What fell back is told with it: "gguf:q3_k, 181 of 211 as gguf:q4_0".
  const size_t fallbacks = std::min(plan.label.find(", "), plan.label.size());
  return {scheme + plan.label.substr(fallbacks), quantized.in_memory(&console.progress), plan.tensor_bytes};
}

Json provenance_of(const Model& reference, const std::vector<UniformModel>& models, const Arguments& a) {
  Json json = {{"model", {{"name", reference.source().name}, {"hash", model_hash(reference)}}},
               {"models", Json::array()},
               {"data", a.data.data},
               {"context", a.data.context},
               {"shots", a.data.shots},
               {"activations", Activations::parse(a.activations).name()},
               {"curvature_examples", a.curvature},
               {"seed", a.groups.seed}};
  if (!reference.config().stacks.empty()) json["prompts"] = a.data.images.prompts;
  if (!a.data.images.classes.empty()) json["classes"] = a.data.images.classes;
  for (const UniformModel& model : models)
    json["models"].push_back(
        {{"label", model.label}, {"hash", model_hash(model.model)}, {"matrix_bytes", model.bytes}});
  return json;
}

/// The models' own losses on the data, differentiable.
LossOfExamples loss_of(const Arguments& a, const GroupedSource& source, const Model& reference) {
  if (source.images)
    return loss_of_images(reference, *source.images, {.prompts = prompt_templates(a.data.images.prompts)});
  if (source.windows) return loss_of_windows(*source.windows);
  fail(ErrorKind::kInvalidArgument, "--curvature: of images and of text, whose losses are a model's own");
}

/// The chain asks how groups rank, not for their third digit: a fifth of the products with the Hessian that the library
/// spends by default.
CurvatureOptions curvature_options(const Arguments& a) {
  const std::string& device = a.compute.device;
  return {.max_examples = a.curvature,
          .max_iterations = 30,
          .eigen_tolerance = 1e-2,
          .max_probes = 10,
          .device = device == "aten" ? "cpu" : device};
}

/// What has no meaning beside what else is given: with one model there is nothing to compare, and a model of --reference is
/// rounded already.
void refuse_unheard(const Arguments& a) {
  if (a.reference.empty() && a.schemes.empty())
    refuse_given("groups", *a.command, {"--activations", "--curvature", "--tolerance"},
                 "of what is compared; name models with --schemes or --reference");
  if (a.schemes.empty()) refuse_given("groups", *a.command, {"--method"}, "of --schemes, which is not given");
  if (a.reference.empty())
    refuse_given("groups", *a.command, {"--different-tokenizers"}, "of --reference, which is not given");
}

GroupStudy study_of(const Arguments& a, Console& console) {
  const ComputeOptions compute = a.compute.options(console);
  const Activations activations = Activations::parse(a.activations);
  const GroupSizes sizes = read_group_sizes(a.sizes);
  const Model model = open_model(a.model, console);
  const Model reference = a.reference.empty() ? model : open_model(a.reference, console);
  const EvaluateOptions options{
      .compute = compute, .activations = activations, .ranges = a.calibration.ranges({&model, &reference}, console)};
  a.data.check_options(model);
  if (a.curvature > 0 && model.config().is_language_model() && a.data.has_several_forms())
    fail(ErrorKind::kInvalidArgument, "--curvature: of one form of --data at a time; leave out the others");
  std::vector<UniformModel> others;
  if (!a.reference.empty()) others.push_back({model.source().name, model});
  for (const std::string& scheme : a.schemes)
    others.push_back(uniform_model(model, scheme, a, resolve_threads(compute), console));
  if (!a.reference.empty() && model.config().is_language_model())
    require_same_ids("groups", model, Tokenizer(open_tokenizer(model, console)), reference, a.data.texts(),
                     a.different_tokenizers, console);
  std::vector<const Model*> models;
  std::vector<std::string> labels;
  for (const UniformModel& other : others) {
    models.push_back(&other.model);
    labels.push_back(other.label);
  }
  if (models.empty()) labels.push_back(model.source().name);
  GroupedSource source;
  const std::vector<GroupedAnswers> answers = a.data.answers(reference, models, options, source, console);
  std::optional<MeasuredCauses> causes;
  if (a.curvature > 0 && !models.empty())
    causes.emplace(reference, loss_of(a, source, reference), curvature_options(a), &console.progress);
  // What is measured of groups beside their answers goes into the records here, before they are judged.
  const CompleteRecords complete = [&](size_t m, const std::string& unit, const std::string& attribute,
                                       std::vector<ChainRecord>& records) {
    set_sizes(records, sizes);
    if (!causes || unit != answers.front().unit) return;  // they are of losses per token or image
    const ExamplesByGroup examples =
        source.images ? examples_by_group(answers.front().examples, attribute) : examples_by_group(*source.windows);
    causes->complete(*models[m], attribute, examples, records);
  };
  GroupStudy study = study_groups(answers, labels, a.groups, complete);
  study.provenance = provenance_of(reference, others, a);
  if (causes)
    for (const auto& [attribute, groups] : causes->of_reference())
      study.provenance["curvature"][attribute] = curvature_to_json(groups);
  return study;
}

}  // namespace

void add_groups(CLI::App& app, Console& console) {
  auto* command = app.add_subcommand(
      "groups",
      "Who pays for quantizing: groups of images, documents, questions or sentences, and the chain of causes");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  a->command = command;
  a->data.add(*command, a->io);
  auto* reference =
      add_option(*command, "--reference", a->reference, "The model before quantizing, to compare MODEL with");
  a->io.reads_model(a->reference);
  add_flag(*command, "--different-tokenizers", a->different_tokenizers,
           "Compare although the reference reads the text as other tokens");
  add_option(*command, "--schemes", a->schemes,
             "Instead: MODEL itself, every matrix in one scheme, for each of int8:channel,int4:channel ...")
      ->delimiter(',')
      ->excludes(reference);
  add_option(*command, "--method", a->method,
             "How values in schemes are searched; nearest, or importance with --calibration");
  a->calibration.add(*command, a->io);
  add_input(*command, a->io, "--group-sizes", a->sizes,
            "How often each group was trained on, where the data do not show it: {\"cat\": 2012, ...}");
  add_option(*command, "--activations", a->activations,
             "Of the models, not of the reference: exact; int8:token, int4:token ...: rounded by the range of each "
             "token; int8:tensor ...: by ranges of --calibration")
      ->capture_default_str();
  add_option(*command, "--curvature", a->curvature,
             "Also gradient, Hessian and activations of so many examples of each group; 0: not")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--intersections", a->groups.intersections, "Cross up to N attributes")->capture_default_str();
  add_option(*command, "--tolerance", a->tolerances,
             "What is no harm: FIGURE=NUMBER, such as loss_nats=0.02 (0.01 nats and one point by default)")
      ->delimiter(',');
  add_option(*command, "--seed", a->groups.seed, "Of resampling")->capture_default_str();
  add_output(*command, a->io, "-o,--output", a->output, "Write groups.json, which `vernier report` makes a page of");
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    a->groups.tolerance = named_numbers(a->tolerances, "--tolerance", "FIGURE=NUMBER, such as loss_nats=0.02");
    for (const auto& [figure, value] : a->groups.tolerance) require_figure(figure);
    refuse_unheard(*a);
    const GroupStudy study = study_of(*a, console);
    for (const GroupStudyEntry& entry : study.entries)
      for (const std::string& warning : entry.analysis.warnings) console.progress.warn(warning);
    const Json json = group_study_to_json(study);
    if (!a->output.empty()) write_json(a->output, json);
    if (!a->json.write(json, console)) print_group_study(study, console);
  });
}

}  // namespace vernier
