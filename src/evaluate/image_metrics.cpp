// What is measured of answers to labelled images.

#include "evaluate/measure.h"
#include "vernier/metric.h"

namespace vernier {

namespace {
// Answers are there as tensors: no producer goes through them one by one.
const Measure kOfAnswers{}, kOfBothAnswers{.compares = true};
}  // namespace

const std::vector<Metric>& image_metrics() {
  static const std::vector<Metric> rows = {
      {.key = "accuracy_share",
       .name = "Accuracy (%)",
       .title = "Accuracy",
       .meaning = "Share of images whose likeliest class is the right one",
       .unit = "share",
       .per = Per::kImage,
       .worse = Worse::kLower,
       .of = &kOfAnswers,
       .scale = 100,
       .decimals = 2,
       .column_of_models = true,
       .column_of_groups = true},
      {.key = "kl_nats",
       .name = "Mean KLD (nats/image)",
       .title = "KL, nats per image",
       .meaning = "Kullback-Leibler divergence of the classes from the original's, mean per image",
       .unit = "nats",
       .per = Per::kImage,
       .of = &kOfBothAnswers,
       .column_of_models = true,
       .column_of_groups = true},
      {.key = "delta_nll_nats",
       .name = "Mean Δloss (nats/image)",
       .title = "Δ loss, nats per image",
       .meaning = "How much more the right class surprises the model than the original",
       .unit = "nats",
       .per = Per::kImage,
       .of = &kOfBothAnswers,
       .column_of_groups = true},
      {.key = "same_top_share",
       .name = "Same class (%)",
       .title = "Same class",
       .meaning = "Share of images at which the likeliest class is the original's",
       .unit = "share",
       .per = Per::kImage,
       .worse = Worse::kLower,
       .of = &kOfBothAnswers,
       .scale = 100,
       .decimals = 3,
       .column_of_models = true,
       .column_of_groups = true},
      {.key = "nll_nats",
       .name = "Loss (nats/image)",
       .title = "Loss, nats per image",
       .meaning = "Negative log-likelihood of the right class",
       .unit = "nats",
       .per = Per::kImage,
       .of = &kOfAnswers,
       .decimals = 5,
       .column_of_models = true},
  };
  return rows;
}

}  // namespace vernier
