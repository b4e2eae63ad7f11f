#include <cmath>
#include <numbers>

#include "evaluate/measure.h"
#include "evaluate/top_5_overlap.h"
#include "vernier/metric.h"

namespace vernier {

namespace {

Measured in_bits(const Measured& nats) {
  return {nats.mean / std::numbers::ln2, nats.standard_error / std::numbers::ln2};
}

Measured exponential(const Measured& nll) { return {std::exp(nll.mean), std::exp(nll.mean) * nll.standard_error}; }

}  // namespace

bool Metric::needs_reference() const { return of->compares || (minus != nullptr && minus->compares); }

const std::vector<Metric>& metrics() {
  static const std::vector<Metric> rows = {
      {.key = "kl_nats",
       .name = "Mean KLD (nats/token)",
       .title = "KL, nats per token",
       .meaning = "Kullback-Leibler divergence from the original, mean per predicted token",
       .unit = "nats",
       .of = &kKl,
       .column_of_models = true,
       .column_of_groups = true},
      {.key = "delta_nll_nats",
       .name = "Mean ΔNLL (nats/token)",
       .title = "ΔNLL, nats per token",
       .meaning = "How much more the text surprises the model than the original",
       .unit = "nats",
       .of = &kNll,
       .minus = &kReferenceNll},
      {.key = "same_top_share",
       .name = "Same top p (%)",
       .title = "Same first choice",
       .meaning = "Share of tokens at which the most likely next token is the original's",
       .unit = "share",
       .worse = Worse::kLower,
       .of = &kSameTop,
       .scale = 100,
       .decimals = 3,
       .column_of_models = true,
       .column_of_groups = true},
      {.key = "top_5_overlap_share",
       .name = "Top-5 overlap (%)",
       .title = "Same first five",
       .meaning = "Share of the original's five most likely next tokens that are among the model's five",
       .unit = "share",
       .worse = Worse::kLower,
       .of = &kTop5Overlap,
       .scale = 100,
       .decimals = 3,
       .column_of_models = true,
       .column_of_groups = true},
      {.key = "perplexity",
       .name = "Perplexity",
       .title = "Perplexity",
       .meaning = "Among how many equally likely tokens the model seems to choose",
       .unit = "",
       .of = &kNll,
       .finish = exponential,
       .decimals = 4,
       .column_of_models = true},
      {.key = "nll_nats",
       .name = "NLL (nats/token)",
       .title = "NLL, nats per token",
       .meaning = "Negative log-likelihood of the text: how much it surprises the model",
       .unit = "nats",
       .of = &kNll,
       .decimals = 5},
      {.key = "reference_nll_nats",
       .name = "Reference NLL (nats/token)",
       .title = "Original, NLL, nats per token",
       .meaning = "How much the text surprises the original",
       .unit = "nats",
       .worse = Worse::kNeither,
       .of = &kReferenceNll,
       .decimals = 5},
      {.key = "delta_nll_nats_per_document",
       .name = "Mean ΔNLL (nats/document)",
       .title = "ΔNLL per document, nats",
       .meaning = "What a whole document costs more than with the original; fair across languages",
       .unit = "nats",
       .per = Per::kDocument,
       .of = &kNll,
       .minus = &kReferenceNll,
       .decimals = 3,
       .column_of_groups = true},
      {.key = "reference_nll_bits_per_byte",
       .name = "Reference NLL (bits/byte)",
       .title = "Original, bits per byte",
       .meaning = "How well the original knows the text, whatever its tokens",
       .unit = "bits",
       .per = Per::kByte,
       .worse = Worse::kNeither,
       .of = &kReferenceNll,
       .finish = in_bits,
       .decimals = 5,
       .column_of_groups = true},
      {.key = "nll_bits_per_byte",
       .name = "NLL (bits/byte)",
       .title = "Bits per byte",
       .meaning = "How well the model knows the text, whatever its tokens",
       .unit = "bits",
       .per = Per::kByte,
       .of = &kNll,
       .finish = in_bits,
       .decimals = 5,
       .column_of_groups = true},
      {.key = "delta_nll_bits_per_byte",
       .name = "Mean ΔNLL (bits/byte)",
       .title = "ΔNLL, bits per byte",
       .meaning = "How much more a byte of the text surprises the model than the original",
       .unit = "bits",
       .per = Per::kByte,
       .of = &kNll,
       .minus = &kReferenceNll,
       .finish = in_bits},
      {.key = "nll_nats_per_document",
       .name = "NLL (nats/document)",
       .title = "NLL per document, nats",
       .meaning = "How much a whole document surprises the model",
       .unit = "nats",
       .per = Per::kDocument,
       .of = &kNll,
       .decimals = 3},
  };
  return rows;
}

const Metric* find_metric(std::string_view key) {
  for (const Metric& metric : metrics())
    if (metric.key == key) return &metric;
  return nullptr;
}

}  // namespace vernier
