#include "vernier/classify.h"

#include <fmt/format.h>

#include "base/text_table.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/subcommands.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, reference, data, output, prompts = "single", activations = "exact";
  std::vector<std::string> classes;
  GroupOptions groups;
  CalibrationArgument calibration;
  ComputeArguments compute;
  JsonArgument json;
  CommandFiles io;
};

LabelledImages images_of(const std::string& data, const std::vector<std::string>& classes) {
  return std::filesystem::is_directory(data) ? read_image_folder(data, classes) : read_manifest(data, classes);
}

double value_of(const GroupResult& group, const char* key, bool of_reference) {
  const auto figure = group.figures.find(key);
  return figure == group.figures.end() ? NAN : of_reference ? figure->second.reference : figure->second.model;
}

/// Of one model: accuracy and loss, all and by group.
void print_alone(const GroupAnalysis& analysis, Console& console) {
  TextTable table({"group", "images", "accuracy %", "loss nats", "confidence %"});
  const auto add = [&](const std::string& name, const GroupResult& group) {
    table.add({name, fmt::format("{}", group.examples), fmt::format("{:.2f}", 100 * value_of(group, "accuracy", true)),
               fmt::format("{:.4f}", value_of(group, "loss_nats", true)),
               fmt::format("{:.2f}", 100 * value_of(group, "confidence", true))});
  };
  add("all", analysis.all);
  for (const AttributeResult& attribute : analysis.attributes)
    for (const GroupResult& group : attribute.groups) add(attribute.name + " " + group.name, group);
  fmt::print(console.out, "{}", table.str(console.width()));
}

/// Beside the reference: who pays, with intervals and a verdict.
void print_compared(const GroupAnalysis& analysis, Console& console) {
  TextTable table({"group", "images", "accuracy %", "was", "excess loss nats", "95%", "more than others", "p of random",
                   "verdict"});
  const auto add = [&](const std::string& name, const GroupResult& group) {
    const GroupValue& loss = group.figures.at("loss_nats");
    table.add({name, fmt::format("{}", group.examples), fmt::format("{:.2f}", 100 * value_of(group, "accuracy", false)),
               fmt::format("{:.2f}", 100 * value_of(group, "accuracy", true)),
               fmt::format("{:+.4f}", loss.change.value),
               fmt::format("{:+.4f} to {:+.4f}", loss.change.interval.low, loss.change.interval.high),
               fmt::format("{:+.4f}", loss.skew.value), fmt::format("{:.3f}", loss.null_p),
               std::string(name_of(loss.skew.verdict))});
  };
  add("all", analysis.all);
  for (const AttributeResult& attribute : analysis.attributes) {
    for (const GroupResult& group : attribute.groups) add(attribute.name + " " + group.name, group);
    const GroupGap& gap = attribute.gaps.at("loss_nats");
    fmt::print(
        console.out,
        "{}: excess losses differ by {:.4f} nats ({:.4f} to {:.4f}; groups at random {:.4f}): {}; {} pays most\n",
        attribute.name, gap.spread.value, gap.spread.interval.low, gap.spread.interval.high, gap.null_95,
        name_of(gap.spread.verdict), gap.most_damaged);
  }
  fmt::print(console.out, "{}", table.str(console.width()));
}

}  // namespace

void add_classify(CLI::App& app, Console& console) {
  auto* command = app.add_subcommand(
      "classify", "What a model that sees answers to labelled images, and who pays for quantizing it");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  add_option(*command, "--data", a->data,
             "Manifest (CSV: path, label and a column per attribute), or a folder of classes")
      ->required();
  add_option(*command, "--reference", a->reference, "The model before quantizing, to compare with");
  a->io.reads(a->data);
  a->io.reads_model(a->reference);
  add_option(*command, "--classes", a->classes, "Names by index, where neither model nor data say them in that order");
  add_option(*command, "--prompts", a->prompts, "Of CLIP: single, best-7, or a file with a template per line")
      ->capture_default_str();
  add_option(
      *command, "--activations", a->activations,
      "Of the model, not of the reference: exact; int8:token, int4:token ...: rounded by the range of each token; "
      "int8:tensor ...: by ranges of --calibration")
      ->capture_default_str();
  a->calibration.add(*command, a->io);
  add_option(*command, "--intersections", a->groups.intersections, "Cross up to N attributes")->capture_default_str();
  add_option(*command, "--seed", a->groups.seed, "Of resampling")->capture_default_str();
  add_output(*command, a->io, "-o,--output", a->output, "Write groups.json");
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    const ClassifyOptions exact{prompt_templates(a->prompts), a->compute.options(console)};
    ClassifyOptions options = exact;
    options.activations = Activations::parse(a->activations);
    if (!a->calibration.path.empty()) options.ranges = activation_ranges(a->calibration.load());
    const Model model = open_model(a->model, console);
    const LabelledImages images = images_of(a->data, a->classes.empty() ? class_names_of(model) : a->classes);
    for (const std::string& warning : images.warnings) console.progress.warn(warning);
    const Answers answers = classify_images(model, images, options, &console.progress);
    const Answers before = a->reference.empty()
                               ? answers
                               : classify_images(open_model(a->reference, console), images, exact, &console.progress);
    const GroupAnalysis analysis = analyse_groups(grouped_examples(images), before, answers, a->groups);
    for (const std::string& warning : analysis.warnings) console.progress.warn(warning);
    const Json json = group_analysis_to_json(analysis);
    if (!a->output.empty()) write_json(a->output, json);
    if (a->json.write(json, console)) return;
    a->reference.empty() ? print_alone(analysis, console) : print_compared(analysis, console);
  });
}

}  // namespace vernier
