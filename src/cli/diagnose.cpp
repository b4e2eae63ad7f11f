#include "vernier/diagnose.h"

#include <fmt/format.h>

#include "base/text_table.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/given_options.h"
#include "cli/group_damage_table.h"
#include "cli/image_arguments.h"
#include "cli/subcommands.h"
#include "data/grouped_texts.h"
#include "data/text_domains.h"
#include "vernier/planning.h"

namespace vernier {

namespace {

std::set<ComponentKind> parse_kinds(const std::vector<std::string>& names) {
  std::set<ComponentKind> kinds;
  for (const std::string& name : names) kinds.insert(parse_kind(name));
  return kinds;
}

void print_diagnosis(const Diagnosis& d, int64_t top, std::FILE* out) {
  fmt::print(out, "isolated {} on {} {}s of {}\n", d.scheme, d.tokens, d.unit, d.data_name);
  fmt::print(out, "control (quantize nothing): KL {:g}; noise floor of the arithmetic: {:.2g} nats\n", d.control_kl,
             d.noise_floor_kl);
  for (const std::string& line : d.fallbacks) fmt::print(out, "note: {}\n", line);
  std::vector<const ComponentDamage*> ranked;
  for (const ComponentDamage& c : d.components) ranked.push_back(&c);
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto* a, const auto* b) { return a->kl.mean > b->kl.mean; });
  if (top > 0 && static_cast<int64_t>(ranked.size()) > top) ranked.resize(static_cast<size_t>(top));
  TextTable table({"component", "kind", "KL nats", "±", "ΔNLL nats", "same top %"});
  for (const ComponentDamage* c : ranked)
    table.add({name_of(c->component), std::string(kind_name(c->component.kind)), number_cell(c->kl.mean, 6),
               number_cell(c->kl.standard_error, 6), number_cell(c->delta_nll.mean, 6, /*sign=*/true),
               number_cell(100 * c->same_top.mean, 2)});
  fmt::print(out, "\n{}", table.str(static_cast<size_t>(terminal_width(out))));
  TextTable bias({"differential bias of", "count", "min", "max", "range", "mean", "standard deviation", "CV"});
  for (const DifferentialBias& b : d.differential_bias)
    bias.add({std::string(kind_name(b.kind)), fmt::format("{}", b.count), fmt::format("{:.3g}", b.min),
              fmt::format("{:.3g}", b.max), fmt::format("{:.3g}", b.range), fmt::format("{:.3g}", b.mean),
              fmt::format("{:.3g}", b.standard_deviation), fmt::format("{:.2f}", b.coefficient_of_variation)});
  fmt::print(out, "\n{}", bias.str(static_cast<size_t>(terminal_width(out))));
  if (d.joint_kl)
    fmt::print(out, "\nall at once: KL {:.6f} ± {}; sum of isolated {:.6f}; additivity ratio J = {:.3f}\n",
               d.joint_kl->mean, number_cell(d.joint_kl->standard_error, 6), d.sum_isolated_kl, d.additivity_ratio);
  for (const RankCorrelation& r : d.rank_correlation)
    fmt::print(out, "rank correlation of {} with KL over {} matrices: {:+.3f}\n", r.fact, r.count, r.spearman);
}

/// What --dry-run says.
void list_components(const std::vector<Component>& components, const JsonArgument& json, Console& console) {
  Json names = Json::array();
  for (const Component& c : components)
    names.push_back({{"component", name_of(c)}, {"kind", std::string(kind_name(c.kind))}});
  if (json.write({{"components", names}}, console)) return;
  for (const Component& c : components) fmt::print(console.out, "{}\n", name_of(c));
}

}  // namespace

void add_diagnose(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, output = "diagnosis.json", scheme = "gguf:q4_k", target = "llama.cpp", checkpoint;
    std::vector<std::string> files, kinds;
    CalibrationArgument calibration;
    ImageArguments labelled;
    int64_t context = 512, windows = 16, images = 256, top = 20;
    CLI::Option* target_option = nullptr;
    bool no_joint = false, dry_run = false;
    ComputeArguments compute;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command = app.add_subcommand("diagnose", "Quantize each component alone and measure the damage");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  a->calibration.add(*command, a->io)->required();
  add_option(*command, "--scheme", a->scheme, "Any scheme: int4:g128:sym, int3:g64:asym, gguf:q4_k ...")
      ->capture_default_str();
  a->target_option = add_option(*command, "--target", a->target,
                                "Engine whose schemes are compared for the planner; huggingface for a model that sees")
                         ->capture_default_str();
  std::vector<std::string> kinds;
  for (const ComponentKind kind : all_component_kinds()) kinds.emplace_back(kind_name(kind));
  add_option(*command, "--kinds", a->kinds, "Kinds of components; all by default")
      ->delimiter(',')
      ->check(CLI::IsMember(kinds));
  add_option(
      *command, "--data", a->files,
      "Text to measure on, the built-in calibration text when none is named; damage is also told by group for a "
      ".jsonl file of documents with groups, and for texts named NAME=FILE. For a model that sees a manifest (CSV: "
      "path, label) or a folder of classes, which are its groups");
  a->labelled.add(*command, a->io);
  add_option(*command, "--context", a->context, "Tokens per window")->check(context_range())->capture_default_str();
  add_option(*command, "--windows", a->windows,
             "Use N windows, evenly spaced over the text and shared by its groups; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--images", a->images, "Use N images, evenly over their classes; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--top", a->top, "Components to print; 0: all")->check(count_range())->capture_default_str();
  add_option(*command, "--checkpoint", a->checkpoint, "Folder that keeps finished layers, to go on after a kill");
  add_flag(*command, "--no-joint", a->no_joint, "Leave out the pass with everything quantized at once");
  add_flag(*command, "--dry-run", a->dry_run, "Only list the components");
  a->io.writes_folder("--checkpoint", a->checkpoint, {});
  add_output(*command, a->io, "-o,--output", a->output, "Artefact to write")->capture_default_str();
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, command, &console] {
    const std::vector<DomainFiles> domains = domains_of(a->files);  // as long as they are looked at
    for (const DomainFiles& domain : domains) a->io.reads(domain.files);
    a->io.check();
    const Model model = open_model(a->model, console);
    if (model.config().is_language_model())
      refuse_image_options("diagnose", *command, model.source().name);
    else
      refuse_text_options("diagnose", *command, {"--context", "--windows"}, model.source().name);
    DiagnoseOptions options = planning_diagnosis(target_for(*a->target_option, a->target, model), a->scheme);
    if (!a->kinds.empty()) options.kinds = parse_kinds(a->kinds);
    options.joint = !a->no_joint;
    options.checkpoint = a->checkpoint;
    options.compute = a->compute.options(console);
    if (a->dry_run) return list_components(components_of(model.config(), options.kinds), a->json, console);
    const Calibration calibration = a->calibration.load();
    const auto on_images = [&] {
      const AnswerData data = a->labelled.data(image_set_of(a->files, model, "diagnose"), a->images, model, console);
      return diagnose(model, calibration, data, options, &console.progress);
    };
    const auto on_text = [&] {
      require_texts(a->files, model, "diagnose");
      const Tokenizer tokenizer(open_tokenizer(model, console));
      const EvaluationData data =
          grouped_diagnosis_windows(tokenizer, a->files, a->context, a->windows, &console.progress);
      return diagnose(model, calibration, data, options, &console.progress);
    };
    const Diagnosis d = model.config().is_language_model() ? on_text() : on_images();
    const Json json = diagnosis_to_json(d);
    write_json(a->output, json);
    if (a->json.write(json, console)) return;
    print_diagnosis(d, a->top, console.out);
    print_groups(d, console);
    fmt::print(console.out, "-> {}\n", a->output);
  });
}

}  // namespace vernier
