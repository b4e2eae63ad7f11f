// Why: in which directions of the features the noise of quantizing lies, how many directions the answers need, and how
// confidence moves with the bits.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ops/parallel.h"
#include "reliability/correctness.h"
#include "reliability/feature_spectrum.h"
#include "reliability/image_dimensions.h"
#include "reliability/image_features.h"
#include "reliability/paired_bootstrap.h"

namespace vernier {

namespace {

constexpr size_t kFeatureBatch = 16;  // fixed: results must not depend on the number of threads

/// Of one model, image by image.
struct FeatureFigures {
  std::vector<std::vector<double>> noise;  ///< [band][image]: squares of what quantizing added
  std::vector<std::string> correct;        ///< [band]: answers by the directions up to its last one
  std::vector<double> confidence;          ///< [image]
};

/// Decibels lost per octave: the slope of a line through the bands.
double slope_of(const std::vector<double>& decibels) {
  const auto n = static_cast<double>(decibels.size());
  double x = 0, y = 0, xx = 0, xy = 0;
  for (size_t b = 0; b < decibels.size(); ++b) {
    const auto place = static_cast<double>(b);
    x += place, y += decibels[b], xx += place * place, xy += place * decibels[b];
  }
  return (n * xy - x * y) / (n * xx - x * x);
}

class FeatureSuite {
 public:
  explicit FeatureSuite(const ImageReliability& of)
      : of_(of), options_(of.request.options), indices_(of.spread(options_.feature_images)) {}

  ReliabilityDimension run() {
    const Json part = of_.parts.get("features", [&] { return measured(); });
    bands_ = part["last"].get<std::vector<int64_t>>();
    signal_ = part["signal"].get<std::vector<std::vector<double>>>();
    for (const Json& own : part["models"])
      models_.push_back({own["noise"].get<std::vector<std::vector<double>>>(),
                         own["correct"].get<std::vector<std::string>>(), own["confidence"].get<std::vector<double>>()});
    return dimension();
  }

 private:
  at::Tensor features_of(const ImageFeatures& features, SharedProgress& shared) const {
    const PatchConfig& patches = of_.models.classifier(0).seeing().config().patches;
    std::vector<at::Tensor> batches((indices_.size() + kFeatureBatch - 1) / kFeatureBatch);
    parallel_for(static_cast<int64_t>(batches.size()), of_.models.workers(), [&](int64_t b, int) {
      const size_t first = static_cast<size_t>(b) * kFeatureBatch;
      const size_t end = std::min(first + kFeatureBatch, indices_.size());
      std::vector<at::Tensor> pixels;
      for (size_t i = first; i < end; ++i)
        pixels.push_back(at::tensor(of_.models.pixels(of_.images.images[indices_[i]].path))
                             .view({patches.channels, patches.image_size, patches.image_size}));
      batches[static_cast<size_t>(b)] = features.of(at::stack(pixels));
      shared.add(static_cast<int64_t>(end - first));
    });
    return at::cat(batches, 0);
  }

  Json measured() const {
    if (of_.progress != nullptr)
      of_.progress->begin("features", static_cast<int64_t>(of_.models.count() * indices_.size()), "images");
    SharedProgress shared(of_.progress);
    std::vector<int32_t> labels;
    for (const size_t i : indices_) labels.push_back(of_.images.images[i].label);
    std::optional<FeatureSpectrum> spectrum;
    at::Tensor first;
    Json part, models = Json::array();
    for (size_t m = 0; m < of_.models.count(); ++m) {
      const ImageFeatures reader(of_.models.classifier(m), of_.models.device());
      const at::Tensor own = features_of(reader, shared);
      if (m == 0) {
        first = own;
        spectrum.emplace(first);
        part["signal"] = columns(spectrum->energies(spectrum->centred(first)));
        part["last"] = Json::array();
        for (const FeatureSpectrum::Band& band : spectrum->bands()) part["last"].push_back(band.last);
      }
      Json correct = Json::array();
      for (const FeatureSpectrum::Band& band : spectrum->bands()) {
        const at::Tensor logits = reader.logits(spectrum->kept(own, band.last)).to(at::kFloat).contiguous();
        correct.push_back(correctness({logits.data_ptr<float>(), static_cast<size_t>(logits.numel())}, labels));
      }
      const at::Tensor sure = std::get<0>(reader.logits(own).softmax(-1).max(-1)).contiguous();
      models.push_back(
          {{"noise", columns(spectrum->energies(own.to(at::kDouble) - first.to(at::kDouble)))},
           {"correct", std::move(correct)},
           {"confidence", std::vector<double>(sure.data_ptr<double>(), sure.data_ptr<double>() + sure.numel())}});
    }
    part["models"] = std::move(models);
    if (of_.progress != nullptr) of_.progress->end();
    return part;
  }

  /// [columns][rows] of float64 [rows, columns].
  static std::vector<std::vector<double>> columns(const at::Tensor& values) {
    const at::Tensor turned = values.t().contiguous();
    std::vector<std::vector<double>> result;
    for (int64_t c = 0; c < turned.size(0); ++c) {
      const double* row = turned.data_ptr<double>() + c * turned.size(1);
      result.emplace_back(row, row + turned.size(1));
    }
    return result;
  }

  /// Of one model: the share of noise in each band, then its signal over its noise in decibels, then their slope.
  void spectrum_figures(size_t m, std::span<const double> weights, std::span<double> out) const {
    const size_t bands = bands_.size();
    std::vector<double> noise(bands), signal(bands);
    double total = 0;
    for (size_t b = 0; b < bands; ++b) {
      for (size_t i = 0; i < weights.size(); ++i) {
        noise[b] += weights[i] * models_[m].noise[b][i];
        signal[b] += weights[i] * signal_[b][i];
      }
      total += noise[b];
    }
    std::vector<double> decibels(bands);
    for (size_t b = 0; b < bands; ++b) {
      out[b] = noise[b] / total;  // NaN of the model that has none
      out[bands + b] = decibels[b] = 10 * std::log10(signal[b] / noise[b]);
    }
    out[2 * bands] = slope_of(decibels);
  }

  ReliabilityDimension dimension() const {
    const size_t bands = bands_.size();
    ReliabilityDimension dimension{"features", "Features"};
    dimension.notes = {
        fmt::format("features of {} images before the class is read, by the singular directions of the original's, "
                    "those of an octave "
                    "of indices together; noise is what quantizing adds",
                    indices_.size())};
    const PairedBootstrap bootstrap({indices_.size()}, options_, of_.clusters(indices_));
    std::vector<WeightedFigures> spectra;
    for (size_t m = 0; m < models_.size(); ++m)
      spectra.push_back(
          [this, m](std::span<const double> weights, std::span<double> out) { spectrum_figures(m, weights, out); });
    const auto found = bootstrap.compare(spectra, 2 * bands + 1);
    const auto row_at = [&](size_t figure, ReliabilityRow row) {
      for (size_t m = 0; m < models_.size(); ++m) row.models.push_back(found[m][figure]);
      return row;
    };
    ReliabilityRow slope =
        row_at(2 * bands, {"sqnr_slope_db", "signal over noise per octave of the index", "dB", Worse::kNeither});
    add_verdicts(dimension, slope);
    dimension.rows.push_back(std::move(slope));
    add_confidence(dimension, bootstrap);
    for (size_t b = 0; b < bands; ++b) {
      const auto last = static_cast<double>(bands_[b]);
      std::vector<std::vector<double>> right;
      for (const FeatureFigures& own : models_) right.push_back(as_numbers(own.correct[b]));
      ReliabilityRow accuracy{"accuracy", "accuracy in the first directions", "share", Worse::kLower, "rank", last};
      accuracy.models = bootstrap.compare_means(right);
      dimension.rows.push_back(std::move(accuracy));
    }
    for (size_t b = 0; b < bands; ++b)
      dimension.rows.push_back(row_at(b, {"noise_share", "share of the noise", "share", Worse::kNeither, "index up to",
                                          static_cast<double>(bands_[b])}));
    for (size_t b = 0; b < bands; ++b)
      dimension.rows.push_back(row_at(bands + b, {"sqnr_db", "signal over noise", "dB", Worse::kNeither, "index up to",
                                                  static_cast<double>(bands_[b])}));
    return dimension;
  }

  /// Better or worse it is for nobody.
  void add_verdicts(ReliabilityDimension& dimension, const ReliabilityRow& slope) const {
    size_t low_pass = 0, other = 0;
    for (size_t m = 1; m < slope.models.size(); ++m) {
      const ComparedValue& own = slope.models[m];
      if (!std::isfinite(own.value)) {
        dimension.notes.push_back(fmt::format("{}: nothing is added to the features", of_.models.names()[m]));
        continue;
      }
      const bool falls = own.interval.high < 0;
      const bool rises = own.interval.low > 0;
      low_pass += falls ? 1 : 0, other += rises ? 1 : 0;
      const char* what = falls ? "loses" : rises ? "gains" : "neither loses nor gains";
      dimension.notes.push_back(fmt::format(
          "{}: per octave of the singular index the signal {} against the noise ({:+.2f} dB, {:+.2f} to {:+.2f})",
          of_.models.names()[m], what, own.value, own.interval.low, own.interval.high));
    }
    if (slope.models.size() > 1)
      dimension.headline = fmt::format(
          "Features: of {} {}, quantizing is a low-pass filter in {} (high directions drown first), the reverse in {}.",
          slope.models.size() - 1, slope.models.size() == 2 ? "model" : "models", low_pass, other);
  }

  void add_confidence(ReliabilityDimension& dimension, const PairedBootstrap& bootstrap) const {
    std::vector<std::vector<double>> confidence;
    ReliabilityRow bits{"bits_per_weight", "bits per weight, of all tensors", "", Worse::kNeither};
    constexpr ConfidenceInterval kUnknown{-INFINITY, INFINITY};
    for (size_t m = 0; m < models_.size(); ++m) {
      confidence.push_back(models_[m].confidence);
      const Model& model = *of_.subjects[m].model;
      const double own = 8 * static_cast<double>(model.stored_bytes()) / static_cast<double>(model.parameters());
      const double first = m == 0 ? own : bits.models[0].value;
      bits.models.push_back({own, kUnknown, own - first, kUnknown});
    }
    ReliabilityRow shift{"confidence", "mean confidence on these images", "share", Worse::kNeither};
    shift.models = bootstrap.compare_means(confidence);
    dimension.rows.push_back(std::move(bits));
    dimension.rows.push_back(std::move(shift));
  }

  const ImageReliability& of_;
  const ReliabilityOptions& options_;
  std::vector<size_t> indices_;
  std::vector<int64_t> bands_;               // last index of each
  std::vector<std::vector<double>> signal_;  // [band][image]
  std::vector<FeatureFigures> models_;
};

}  // namespace

ReliabilityDimension measure_features(const ImageReliability& of) { return FeatureSuite(of).run(); }

}  // namespace vernier
