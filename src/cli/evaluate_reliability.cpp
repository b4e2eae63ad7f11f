#include "cli/evaluate_reliability.h"
#include "cli/given_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <optional>

#include "base/fail.h"
#include "cli/plan_argument.h"
#include "cli/plan_table.h"
#include "cli/reliability_subject.h"
#include "cli/reliability_table.h"
#include "cli/same_ids.h"
#include "data/image_set.h"
#include "data/image_subset.h"
#include "data/text_kind.h"
#include "reliability/reliability_request.h"
#include "report/report_data.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/report.h"
#include "vernier/text_perturbations.h"

namespace vernier {

namespace {

/// Models that live as long as they are measured.
class Subjects {
 public:
  Subjects(const ReliabilityArguments::Shared& shared, Console& console) : shared_(shared), console_(console) {}

  /// What the others are compared with: its activations stay exact.
  const Model& add_first(Model model) {
    models_.push_back(std::move(model));
    named_.push_back({"original", &models_.back()});
    return models_.front();
  }
  /// A model of its own, named by its file.
  void add_file(const std::string& path) {
    Model model = open_model(path, console_);
    if (const Model& original = models_.front();
        original.config().is_language_model() && model.config().is_language_model())
      require_same_ids("reliability", original, Tokenizer(open_tokenizer(original, console_)), model,
                       shared_.data.texts(console_), shared_.different_tokenizers, console_);
    add(name_of_file(path, std::filesystem::path(path).filename().string()), std::move(model), shared_.activations, {});
  }
  void add_spelled(const SubjectSpelling& spelling) {
    const Model& original = models_.front();
    if (spelling.tower && original.config().stacks.empty())
      fail(ErrorKind::kInvalidArgument, "reliability: {}: {} has one tower", spelling.name, original.source().name);
    Model model = original;
    if (!spelling.scheme.empty()) {
      Plan plan =
          plan_uniform(original, spelling.scheme, original.config().is_language_model() ? "llama.cpp" : "huggingface");
      plan.method = shared_.calibration.path.empty() ? "nearest" : "importance";
      model = made(plan);
    }
    if (spelling.tower) model = with_tower_of(original, model, *spelling.tower);
    add(spelling.name, std::move(model), spelling.activations.value_or(shared_.activations), spelling.tower);
  }
  void add_planned(const std::string& path) {
    add(name_of_file(path, std::filesystem::path(path).stem().string()),
        made(read_plan(path, models_.front(), console_)), shared_.activations, {});
  }
  const std::vector<ReliabilitySubject>& named() const { return named_; }

 private:
  Model made(const Plan& plan) const {
    print_fallbacks(plan, console_);
    return quantize(models_.front(), calibration_for(plan, shared_.calibration), plan, resolve_threads(shared_.compute))
        .in_memory(&console_.progress);
  }

  /// The original with one tower's matrices as `quantized` has them.
  static Model with_tower_of(const Model& original, const Model& quantized, Stack tower) {
    Model model = original;
    for (const TensorId& id : original.matrices()) {
      const StoredMatrix* stored = quantized.stored(id);
      if (id.stack == tower && stored != nullptr) model.set_stored(id, *stored);
    }
    return model;
  }

  bool has(const std::string& name) const {
    return std::any_of(named_.begin(), named_.end(), [&](const ReliabilitySubject& own) { return own.name == name; });
  }
  /// Files of one name in several folders are told apart by their paths.
  std::string name_of_file(const std::string& path, const std::string& name) const { return has(name) ? path : name; }

  void add(const std::string& name, Model model, const Activations& activations, std::optional<Stack> tower) {
    if (has(name))
      fail(ErrorKind::kInvalidArgument, "reliability: {} is named twice; each model is measured once", name);
    models_.push_back(std::move(model));
    ReliabilitySubject subject{name, &models_.back(), activations, {}, tower};
    if (activations.kind() == Activations::Kind::kPerTensor)
      subject.ranges = activation_ranges(shared_.calibration.load());
    named_.push_back(std::move(subject));
  }

  const ReliabilityArguments::Shared& shared_;
  Console& console_;
  std::deque<Model> models_;
  std::vector<ReliabilitySubject> named_;
};

/// Image files of a folder at any depth, sorted.
std::vector<std::filesystem::path> files_of(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  if (!std::filesystem::is_directory(folder)) {
    for (const LabelledImage& image : read_manifest(folder).images) paths.push_back(image.path);
    return paths;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (is_image_file(entry.path())) paths.push_back(entry.path());
  if (paths.empty())
    fail(ErrorKind::kBadFile, "reliability: {}: no image at any depth; expected files such as .png and .jpg", folder);
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

void ReliabilityArguments::add(CLI::App& command, CommandFiles& files) {
  const char* group = "Reliability";
  auto* asked = add_flag(command, "--reliability", wanted,
                         "Confidence, and of models that see also corruptions, attacks and what they were never "
                         "taught: of MODEL (or --reference) and of all that --schemes, --plans and --with name")
                    ->group(group);
  const auto in_group = [&](CLI::Option* option) { return option->group(group)->needs(asked); };
  in_group(add_option(command, "--schemes", schemes,
                      "MODEL in one scheme each, made in memory; SCHEME+ROUNDING also rounds the inputs of matrices "
                      "(int4:channel:sym+int8:token), @image or @text at its end leaves CLIP's other tower as it is"))
      ->delimiter(',');
  in_group(add_option(command, "--plans", plans, "MODEL by a plan each, made in memory"));
  in_group(add_option(command, "--with", others, "Further models, such as folders of quantized ones"));
  in_group(add_option(command, "--ood", ood, "Folder (or manifest) of images that are none of the classes"));
  in_group(add_option(command, "--dimensions", dimensions,
                      fmt::format("Only some of {}; of a language model confidence and careless_text",
                                  fmt::join(reliability_dimensions(), ", "))))
      ->delimiter(',');
  in_group(add_option(command, "--corruptions", corruptions, "Only some of them"))->delimiter(',');
  in_group(add_option(command, "--severities", options.severities, "1 to N"))->capture_default_str();
  in_group(add_option(command, "--corruption-images", options.corruption_images, "Corrupt N of the images; 0: all"))
      ->check(count_range());
  in_group(
      add_option(command, "--feature-images", options.feature_images, "Look at features of N of the images; 0: all"))
      ->check(count_range())
      ->capture_default_str();
  in_group(add_option(command, "--control-seeds", options.control_seeds,
                      "Models with noise of the quantizer's power, as a control of corruptions"))
      ->capture_default_str();
  in_group(add_option(command, "--attacks", options.attacks, "Only some of fgsm, pgd, transfer, square, pgd_l2"))
      ->delimiter(',');
  in_group(add_option(command, "--attack-images", options.attack_images, "Attack N of the images; 0: all"))
      ->check(count_range())
      ->capture_default_str();
  in_group(add_option(command, "--attack-radii", radii, "Largest change of a value, in 255ths, rising"))
      ->delimiter(',')
      ->default_str("1,2,4,8");
  in_group(add_option(command, "--attack-steps", options.attack_steps, "Of PGD"))->capture_default_str();
  in_group(add_option(command, "--attack-restarts", options.attack_restarts, "Of PGD"))->capture_default_str();
  in_group(add_option(command, "--square-queries", options.square_queries, "Of the square attack"))
      ->capture_default_str();
  in_group(add_flag(command, "--perturb-text", perturb_text,
                    "Of language models: also text with typing errors, other case, blanks and look-alikes"));
  in_group(add_option(command, "--shots", shots, "Of questions with answers: solved ones in front of each"))
      ->check(within(0, 1000))
      ->capture_default_str();
  in_group(add_option(command, "--draws", options.bootstrap_draws, "Of the bootstrap"))->capture_default_str();
  in_group(add_option(command, "--seed", options.seed, "Of resampling, corruptions and attacks"))
      ->capture_default_str();
  in_group(add_output(command, files, "-o,--output", output, "Write reliability.json"));
  in_group(add_output(command, files, "--report", page, "Write a page with its diagrams and curves"));
  files.reads(plans);
  files.reads(ood);
  files.reads_models(others);
}

ReliabilityRequest ReliabilityArguments::request(const Shared& shared) const {
  ReliabilityRequest request;
  request.options = options;
  request.options.corruptions = corruptions;
  request.options.attack_radii.clear();
  for (const double radius : radii) request.options.attack_radii.push_back(radius / 255);
  request.dimensions = dimensions;
  request.classify = {prompt_templates(shared.images.prompts), shared.compute};
  if (!ood.empty()) request.outside = files_of(ood);
  if (!output.empty()) request.parts = output + ".parts";
  return request;
}

void ReliabilityArguments::run(const Shared& shared, const JsonArgument& json, Console& console) {
  const DataArguments& data = shared.data;
  const std::string& first = shared.reference.empty() ? shared.model : shared.reference;
  std::vector<SubjectSpelling> spelled;  // before anything is read
  for (const std::string& scheme : schemes) spelled.push_back(parse_subject(scheme));
  Subjects subjects(shared, console);
  const Model& original = subjects.add_first(open_model(first, console));
  const ReliabilityRequest asked = request(shared);
  // Models are made when all that is said about them and what they are measured on was read.
  const auto add_others = [&] {
    if (!shared.reference.empty()) subjects.add_file(shared.model);
    for (const SubjectSpelling& spelling : spelled) subjects.add_spelled(spelling);
    for (const std::string& path : plans) subjects.add_planned(path);
    for (const std::string& other : others) subjects.add_file(other);
  };
  const auto on_images = [&] {
    refuse_text_options("reliability", shared.command,
                        {"--groups", "--filter", "--windows", "--context", "--score", "--different-tokenizers",
                         "--shots", "--perturb-text"},
                        first);
    check_image_request(asked);
    const LabelledImages images = spread_images(
        shared.images.read(image_set_of(data.data, original, "reliability"), original, console), shared.image_count);
    add_others();
    return measure_reliability(subjects.named(), images, asked, &console.progress);
  };
  const auto on_choices = [&](const Tokenizer& tokenizer) {
    const std::string& file = data.data.front();
    refuse_given("reliability", shared.command, {"--perturb-text", "--windows", "--score", "--groups", "--filter"},
                 fmt::format("of running text; {} holds questions", file));
    check_text_request(asked, /*perturbed=*/false);
    const std::vector<ChoiceItem> items = read_choices(file);
    const ScoredTexts texts = choice_texts(tokenizer, std::filesystem::path(file).filename().string(), items,
                                           {.context = data.context, .shots = shots});
    add_others();
    return measure_choice_reliability(subjects.named(), items, texts, asked, &console.progress);
  };
  const auto on_running_text = [&](const Tokenizer& tokenizer) {
    refuse_given("reliability", shared.command, {"--shots"}, "of questions; what is measured here is running text");
    check_text_request(asked, perturb_text);
    const std::optional<EvaluationData> documents = data.documents(tokenizer, console);
    const EvaluationData windows = documents && data.data.empty() ? *documents : data.text(tokenizer, console);
    PerturbedWindows perturbed;
    if (perturb_text) {
      perturbed = [&](std::string_view key, int severity) {
        std::string text;
        for (const std::string& part : data.texts(console)) text += part;
        return text_windows(tokenizer, std::string(key),
                            vernier::perturb_text(text, find_text_perturbation(key), severity, options.seed),
                            data.options());
      };
    }
    add_others();
    return measure_text_reliability(subjects.named(), windows, asked, perturbed, &console.progress);
  };
  const auto on_text = [&] {
    refuse_image_options("reliability", shared.command, first);
    require_texts(data.data, original, "reliability");
    const Tokenizer tokenizer(open_tokenizer(original, console));
    const bool choices = data.data.size() == 1 && kind_of_text(data.data.front()) == TextKind::kChoices;
    return choices ? on_choices(tokenizer) : on_running_text(tokenizer);
  };
  finish(original.config().is_language_model() ? on_text() : on_images(), json, console);
}

void ReliabilityArguments::finish(const Reliability& found, const JsonArgument& json, Console& console) const {
  const Json result = reliability_to_json(found);
  if (!output.empty()) write_json(output, result);
  if (!page.empty()) write_report(page, report_data_of_reliability(result));
  if (json.write(result, console)) return;
  print_reliability(found, console);
}

}  // namespace vernier
