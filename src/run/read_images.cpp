#include <algorithm>
#include <set>

#include "base/fail.h"
#include "base/mapped_file.h"
#include "data/image_set.h"
#include "data/image_subset.h"
#include "images/image_header.h"
#include "run/run_inputs.h"
#include "vernier/classify.h"
#include "vernier/planning.h"

namespace vernier {

namespace {

/// The figures flatter a plan that was made from the images that it is judged by, under whatever name.
void find_shared_images(const RunOptions& options, const LabelledImages& calibration, RunInputs& inputs,
                        ProgressSink& progress) {
  std::set<std::string> seen;
  for (const LabelledImage& image : calibration.images) seen.insert(hash_of_image(image.path));
  for (const LabelledImage& image : inputs.images->evaluated.images)
    inputs.shared_runs += seen.contains(hash_of_image(image.path)) ? 1 : 0;
  if (inputs.shared_runs == 0) return;
  const std::string message = fmt::format(
      "{} images are in both the calibration and the evaluation set; the result flatters itself", inputs.shared_runs);
  if (options.strict) fail(ErrorKind::kInvalidArgument, "run: {} (--strict)", message);
  progress.warn(message);
}

/// A file cut short is found before an hour was spent on the others.
void require_whole(const LabelledImages& images) {
  for (const LabelledImage& image : images.images)
    read_by_line(image, images.name, [](const std::filesystem::path& path) {
      return read_image_header(MappedFile(path).bytes(), path.string());
    });
}

}  // namespace

void read_images(const Model& model, const RunOptions& options, RunInputs& inputs, ProgressSink& progress) {
  constexpr int64_t kShare = 5, kMost = 512;  // one in so many is held back, at most so many
  const auto read = [&](const std::string& path, const std::vector<std::string>& classes) {
    const LabelledImages images = read_labelled_images(path, classes);
    for (const std::string& warning : images.warnings) progress.warn(warning);
    return images;
  };
  inputs.exported_as =
      find_target(options.target)
          .header_hash(model, plan_uniform(model, "f16", options.target), inputs.tokenizer, options.file);
  RunImages& own = inputs.images.emplace();
  own.prompts = prompt_templates(options.prompts);
  own.evaluated = read(options.images, options.classes.empty() ? class_names_of(model) : options.classes);
  LabelledImages calibration;
  if (options.calibration_images.empty()) {
    const auto all = static_cast<int64_t>(own.evaluated.images.size());
    own.held_back = std::clamp<int64_t>(all / kShare, 1, kMost);
    std::tie(calibration, own.evaluated) = split_images(own.evaluated, own.held_back);
    progress.warn(
        fmt::format("{} of the {} images of {} are held back to calibrate and diagnose on, and are not evaluated; "
                    "--calibration-images names others",
                    own.held_back, all, own.evaluated.name));
  } else {
    calibration = read(options.calibration_images, own.evaluated.classes);
  }
  own.evaluated = spread_images(own.evaluated, options.evaluation_windows);
  require_whole(own.evaluated);
  require_whole(calibration);
  find_shared_images(options, calibration, inputs, progress);
  calibration = spread_images(calibration, options.calibration_windows);
  own.evaluation = answer_data(model, own.evaluated, own.prompts);
  own.calibration = answer_data(model, calibration, own.prompts);
  own.diagnosis = answer_data(model, spread_images(calibration, options.diagnose_images), own.prompts);
  if (const size_t prompts = own.evaluation.inputs.texts.size(); prompts > 0)
    progress.warn(
        fmt::format("the text tower is calibrated, planned and judged by {} prompts alone: what becomes of other "
                    "sentences is not measured; --prompts best-7, or a file of templates, has more kinds",
                    prompts));
}

}  // namespace vernier
