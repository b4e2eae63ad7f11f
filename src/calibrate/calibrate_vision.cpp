// Calibration of models that see: stack by stack, each on its own kind of input.

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "calibrate/sum_in_order.h"

namespace vernier {

namespace {

void check_vision_inputs(const Model& model, const VisionInputs& data) {
  const ModelConfig& config = model.config();
  if (config.is_language_model())
    fail(ErrorKind::kInvalidArgument, "calibrate: {} ({}) sees no images; calibrate it on text", model.source().name,
         config.family);
  const bool reads = !config.stacks.empty();
  if (data.images < 1 || reads == data.texts.empty())
    fail(ErrorKind::kInvalidArgument, "calibrate: {}: {} images and {} texts; a {} takes {}", data.name, data.images,
         data.texts.size(), config.family, reads ? "at least one of each" : "at least one image and no texts");
}

/// Adds what enters one stack, over `count` inputs.
void add_stack(const Engine& engine, const Model& model, Stack stack, const PrepareOptions& options, int64_t count,
               const std::function<SumsOfSites(const AnsweringModel&, int64_t input, int worker)>& sums_of,
               const std::function<void(int64_t)>& on_done, Calibration& calibration) {
  const auto fast = engine.prepare_answers(stack_of(model, stack), options);
  const SumsOfSites total = sum_in_order(
      count, engine.workers(), [&](int64_t i, int worker) { return sums_of(*fast, i, worker); }, on_done);
  for (const auto& [site, sums] : total) {
    if (site.site == Site::kAttnInput && site.layer == 0) calibration.tokens += sums.rows;
    calibration.sites[{site.site, site.layer, site.expert, stack}] =
        statistics_of(sums, static_cast<double>(sums.rows));
  }
}

/// Some of the images, evenly over them, as they pass by.
class KeptImages {
 public:
  KeptImages(const ModelConfig& seeing, int64_t images) : images_(images) {
    constexpr int64_t kBytes = int64_t{64} << 20, kStreamBytes = int64_t{256} << 20;
    const PatchConfig& patches = seeing.patches;
    const int64_t most =
        std::min(kBytes / (patches.pixels() * static_cast<int64_t>(sizeof(at::Half))),
                 kStreamBytes / (patches.rows() * seeing.hidden * static_cast<int64_t>(sizeof(float))));
    kept_ = at::zeros({std::clamp<int64_t>(most, 1, images), patches.channels, patches.image_size, patches.image_size},
                      at::kHalf);
  }
  /// From several threads, each image once.
  void see(int64_t image, const std::vector<float>& pixels) {
    const int64_t count = kept_.size(0), place = (image * count + images_ - 1) / images_;
    if (place >= count || place * images_ / count != image) return;
    constexpr float kMost = 65504;  // in float16
    const auto fits = [](float value) { return std::abs(value) <= kMost; };
    if (const auto bad = std::find_if_not(pixels.begin(), pixels.end(), fits); bad != pixels.end())
      fail(ErrorKind::kInvalidArgument,
           "calibrate: image {}: a value of {:g} after preprocessing, expected at most {:g}; does "
           "preprocessor_config.json "
           "rescale pixels to 0 to 1?",
           image, *bad, kMost);
    std::copy(pixels.begin(), pixels.end(), kept_.select(0, place).data_ptr<at::Half>());
  }
  const at::Tensor& images() const { return kept_; }

 private:
  int64_t images_;
  at::Tensor kept_;
};

}  // namespace

Calibration calibrate_vision(const Model& model, const VisionInputs& data, const ComputeOptions& compute,
                             ProgressSink* progress) {
  check_vision_inputs(model, data);
  const std::unique_ptr<Engine> engine = make_engine(compute);
  const auto texts = static_cast<int64_t>(data.texts.size());
  Calibration calibration;
  calibration.model_hash = model_hash(model);
  calibration.data_name = data.name;
  calibration.data_hash = data.hash;
  calibration.windows = data.images + texts;
  if (progress != nullptr) progress->begin("calibrate", calibration.windows, texts > 0 ? "images and texts" : "images");
  int64_t before = 0;
  const auto on_done = [&](int64_t done) {
    if (progress != nullptr) progress->update(before + done);
  };
  const Stack seeing = texts > 0 ? Stack::kImage : Stack::kOnly;
  KeptImages kept(*model.config().find_stack(seeing), data.images);
  const auto image_sums = [&](const AnsweringModel& fast, int64_t image, int worker) {
    const std::vector<float> pixels = data.pixels(image);
    SumsOfSites sums = fast.site_sums(worker, std::span(pixels));  // which checks their number
    kept.see(image, pixels);
    return sums;
  };
  add_stack(*engine, model, seeing, {.type = compute.type}, data.images, image_sums, on_done, calibration);
  calibration.images = kept.images();
  for (const std::vector<int32_t>& text : data.texts) calibration.text.push_back({text, 0});
  before = data.images;
  if (texts > 0) {
    size_t longest = 0;
    for (const auto& text : data.texts) longest = std::max(longest, text.size());
    const auto text_sums = [&](const AnsweringModel& fast, int64_t text, int worker) {
      return fast.site_sums(worker, std::span(data.texts[static_cast<size_t>(text)]));
    };
    add_stack(*engine, model, Stack::kText, {.type = compute.type, .positions = static_cast<int64_t>(longest)}, texts,
              text_sums, on_done, calibration);
  }
  if (progress != nullptr) progress->end();
  return calibration;
}

}  // namespace vernier
