#include "cli/evaluate_reliability.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <optional>

#include "base/fail.h"
#include "cli/plan_table.h"
#include "cli/reliability_table.h"
#include "report/report_data.h"
#include "vernier/classify.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/report.h"
#include "vernier/text_perturbations.h"
#include "vernier/value_search.h"

namespace vernier {

namespace {

/// Models that live as long as they are measured.
struct Subjects {
  std::deque<Model> models;
  std::vector<ReliabilitySubject> named;
  void add(const std::string& name, Model model) {
    models.push_back(std::move(model));
    named.push_back({name, &models.back()});
  }
};

Model made_in_memory(const Model& original, const Plan& plan, int threads, Console& console) {
  if (find_value_search(plan.method).needs != ValueSearch::Needs::kNothing)
    fail(ErrorKind::kInvalidArgument,
         "reliability: {} is searched by what calibration says ({}); quantize it first and name its folder with --with",
         plan.label, plan.method);
  print_fallbacks(plan, console);
  return quantize(original, {}, plan, threads).in_memory(&console.progress);
}

/// Image files of a folder at any depth, sorted.
std::vector<std::filesystem::path> files_of(const std::string& folder) {
  constexpr std::string_view kEndings[] = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".webp"};
  std::vector<std::filesystem::path> paths;
  if (!std::filesystem::is_directory(folder)) {
    for (const LabelledImage& image : read_manifest(folder).images) paths.push_back(image.path);
    return paths;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (std::find(std::begin(kEndings), std::end(kEndings), entry.path().extension().string()) != std::end(kEndings))
      paths.push_back(entry.path());
  if (paths.empty())
    fail(ErrorKind::kBadFile, "reliability: {}: no image at any depth; expected files such as .png and .jpg", folder);
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Evenly spaced, so that every class of a sorted list stays.
LabelledImages spaced_images(LabelledImages images, int64_t wanted) {
  const size_t all = images.images.size();
  if (wanted == 0 || static_cast<size_t>(wanted) >= all) return images;
  std::vector<LabelledImage> some;
  for (size_t i = 0; i < static_cast<size_t>(wanted); ++i)
    some.push_back(images.images[i * all / static_cast<size_t>(wanted)]);
  images.images = std::move(some);
  images.hash += fmt::format("/{}", wanted);
  return images;
}

}  // namespace

void ReliabilityArguments::add(CLI::App& command, CommandFiles& files) {
  const char* group = "Reliability";
  const auto in_group = [&](CLI::Option* option) { return option->group(group); };
  in_group(
      add_flag(command, "--reliability", wanted,
               "Confidence, and of models that see also corruptions, attacks and what they were never taught: of MODEL "
               "(or --reference) and of all that --schemes, --plans and --with name"));
  in_group(add_option(command, "--schemes", schemes, "MODEL in one scheme each, made in memory"))->delimiter(',');
  in_group(add_option(command, "--plans", plans, "MODEL by a plan each, made in memory"));
  in_group(add_option(command, "--with", others, "Further models, such as folders of quantized ones"));
  in_group(add_option(command, "--ood", ood, "Folder (or manifest) of images that are none of the classes"));
  in_group(add_option(command, "--dimensions", dimensions,
                      fmt::format("Only some of {}", fmt::join(reliability_dimensions(), ", "))))
      ->delimiter(',');
  in_group(add_option(command, "--images", images, "Use N images, evenly spaced; 0: all"))->check(count_range());
  in_group(add_option(command, "--corruptions", corruptions, "Only some of them"))->delimiter(',');
  in_group(add_option(command, "--severities", options.severities, "1 to N"))->capture_default_str();
  in_group(add_option(command, "--corruption-images", options.corruption_images, "Corrupt N of the images; 0: all"))
      ->check(count_range());
  in_group(add_option(command, "--control-seeds", options.control_seeds,
                      "Models with noise of the quantizer's power, as a control of corruptions"))
      ->capture_default_str();
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
  in_group(
      add_option(command, "--classes", classes, "Names by index, where neither model nor data say them in that order"));
  in_group(add_option(command, "--prompts", prompts, "Of CLIP: single, best-7, or a file with a template per line"))
      ->capture_default_str();
  in_group(add_option(command, "--draws", options.bootstrap_draws, "Of the bootstrap"))->capture_default_str();
  in_group(add_option(command, "--seed", options.seed, "Of resampling, corruptions and attacks"))
      ->capture_default_str();
  in_group(add_output(command, files, "-o,--output", output, "Write reliability.json"));
  in_group(add_output(command, files, "--report", page, "Write a page with its diagrams and curves"));
  files.reads(plans);
  files.reads(ood);
}

void ReliabilityArguments::run(const std::string& model_name, const std::string& reference, const DataArguments& data,
                               const ComputeOptions& compute, const JsonArgument& json, Console& console) {
  Subjects subjects;
  const std::string& first = reference.empty() ? model_name : reference;
  subjects.add("original", open_model(first, console));
  const Model& original = subjects.models.front();
  const bool sees = !original.config().is_language_model();
  const int threads = resolve_threads(compute);
  if (!reference.empty())
    subjects.add(std::filesystem::path(model_name).filename().string(), open_model(model_name, console));
  for (const std::string& scheme : schemes)
    subjects.add(scheme, made_in_memory(
                             original,
                             [&] {
                               Plan plan = plan_uniform(original, scheme, sees ? "huggingface" : "llama.cpp");
                               plan.method = "nearest";
                               return plan;
                             }(),
                             threads, console));
  for (const std::string& path : plans) {
    const Plan plan = plan_from_json(read_artefact(path, "plan"), path);
    subjects.add(std::filesystem::path(path).stem().string(), made_in_memory(original, plan, threads, console));
  }
  for (const std::string& other : others)
    subjects.add(std::filesystem::path(other).filename().string(), open_model(other, console));

  ReliabilityRequest request;
  request.options = options;
  request.options.corruptions = corruptions;
  if (!radii.empty()) {
    request.options.attack_radii.clear();
    for (const std::string& radius : radii) request.options.attack_radii.push_back(std::stod(radius) / 255);
  }
  request.dimensions = dimensions;
  request.classify = {prompt_templates(prompts), compute};
  if (!ood.empty()) request.outside = files_of(ood);
  if (!output.empty()) request.parts = output + ".parts";

  Reliability found;
  if (sees) {
    if (data.data.size() != 1)
      fail(ErrorKind::kInvalidArgument, "reliability: {} sees; expected one --data, a manifest or a folder of classes",
           first);
    const std::vector<std::string> names = classes.empty() ? class_names_of(original) : classes;
    const std::string& path = data.data.front();
    LabelledImages labelled =
        std::filesystem::is_directory(path) ? read_image_folder(path, names) : read_manifest(path, names);
    for (const std::string& warning : labelled.warnings) console.progress.warn(warning);
    found = measure_reliability(subjects.named, spaced_images(std::move(labelled), images), request, &console.progress);
  } else {
    const Tokenizer tokenizer(open_tokenizer(original, console));
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
    found = measure_text_reliability(subjects.named, windows, request, perturbed, &console.progress);
  }
  const Json result = reliability_to_json(found);
  if (!output.empty()) write_json(output, result);
  if (!page.empty()) write_report(page, report_data_of_reliability(result));
  if (json.write(result, console)) return;
  print_reliability(found, console);
}

}  // namespace vernier
