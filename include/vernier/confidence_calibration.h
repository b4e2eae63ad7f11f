#pragma once

// Is a model as sure as it is right? Calibration errors of the confidence in the first answer, proper scores, the bins of
// a reliability diagram, and the one temperature that a refit finds. Not to be confused with calibrate.h, which looks at
// activations.
//
//   const Predictions said = predictions_of_logits(logits, 2, labels);
//   const std::vector<ConfidenceBin> bins = reliability_bins(said, {});
//   print(expected_calibration_error(bins), signed_calibration_error(bins), brier_score(said));
//   print(fit_temperature(logits, 2, labels));  // above 1: the model is surer than it is right

#include <cstdint>
#include <span>
#include <vector>

namespace vernier {

/// What a model answered to each example, and how sure it was.
struct Predictions {
  std::vector<double> confidence;         ///< greatest probability
  std::vector<double> correct;            ///< 1 where the most probable class is the right one, else 0
  std::vector<double> loss_nats;          ///< -log p of the right class
  std::vector<double> brier;              ///< sum over classes of (p - [right])^2, 0 to 2
  int64_t classes = 0;                    ///< 0 where probabilities are not kept
  std::vector<float> probabilities = {};  ///< [examples, classes]
  std::vector<int32_t> labels = {};

  size_t size() const { return confidence.size(); }
  /// One more example, by its logits in float64. @param keep whether its probabilities stay
  void add(std::span<const float> logits, int32_t label, double temperature, bool keep);
};

/// @shape logits: [labels.size(), classes], divided by `temperature` before the softmax
/// @throws Error{kInvalidArgument} for other shapes, fewer than 2 classes, labels out of range, logits that are not finite
Predictions predictions_of_logits(std::span<const float> logits, int64_t classes, std::span<const int32_t> labels,
                                  double temperature = 1);

enum class Binning {
  kEqualWidth,  ///< (0, 1/n], (1/n, 2/n] ... (Guo et al. 2017, arXiv 1706.04599)
  kEqualMass,  ///< as many examples in each, those of the lowest confidence first (Nixon et al. 2019, arXiv 1904.01685)
};

struct BinOptions {
  int bins = 15;
  Binning binning = Binning::kEqualWidth;
};

struct ConfidenceBin {
  double low = 0, high = 0;             ///< of confidence; of equal mass: the least and the greatest in it
  double weight = 0;                    ///< its examples, by weight
  double confidence = 0, accuracy = 0;  ///< means; NaN of an empty bin
};

/// The index of each example's bin. Of equal mass, bins differ by one example at most (the first ones have more), and
/// equal confidences are in the order of examples.
/// @throws Error{kInvalidArgument} for confidences outside of [0, 1] or no bins
std::vector<int32_t> bins_of(std::span<const double> confidence, const BinOptions& options);

/// The bars of a reliability diagram. @param weights one per example; empty: 1 each
std::vector<ConfidenceBin> reliability_bins(const Predictions& predictions, const BinOptions& options,
                                            std::span<const double> weights = {});

/// ECE: sum over bins of their share of weight times |accuracy - confidence|. NaN without examples, as all of these.
double expected_calibration_error(std::span<const ConfidenceBin> bins);
/// The same without absolute values, confidence less accuracy: above 0 the model is over-confident.
double signed_calibration_error(std::span<const ConfidenceBin> bins);
/// MCE: of the worst bin that is not empty.
double maximum_calibration_error(std::span<const ConfidenceBin> bins);
/// Mean over classes of the ECE of that class' probability against "is this class", equal widths (Kull et al. 2019, arXiv
/// 1910.12656; the static calibration error of arXiv 1904.01685). NaN without probabilities.
double classwise_calibration_error(const Predictions& predictions, int bins = 15, std::span<const double> weights = {});
/// Means per example.
double brier_score(const Predictions& predictions, std::span<const double> weights = {});
double mean_loss_nats(const Predictions& predictions, std::span<const double> weights = {});

/// The temperature of least mean loss, in 1e-3 to 1e3. The loss is convex in 1/T, whose root of the derivative is
/// bisected in float64, so that this is the optimum and not where some optimizer stopped. CLIP's logit scale refitted is
/// the old one divided by it.
/// @throws Error as predictions_of_logits
double fit_temperature(std::span<const float> logits, int64_t classes, std::span<const int32_t> labels);

/// Predictions after a refit, each example by the temperature of the half that it is not in: every
/// other example of each class, so that the order does not matter beyond that within classes.
struct Refit {
  double temperature_of_even = 1,
         temperature_of_odd = 1;  ///< fitted on these, of every class the first, third ... and the others
  Predictions predictions;
};
/// @throws Error as predictions_of_logits, and for fewer than 2 examples
Refit refit_temperature(std::span<const float> logits, int64_t classes, std::span<const int32_t> labels);

}  // namespace vernier
