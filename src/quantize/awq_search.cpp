// AWQ: columns scaled so that those with large inputs are rounded finely, what makes the inputs takes the scales over
// (fold.h), and ranges are searched. SmoothQuant: the same folding by a formula.

#include "quantize/grid_search.h"
#include "quantize/value_search_table.h"

namespace vernier {

ValueSearch awq_search() {
  return {
      .name = "awq",
      .about = "columns scaled by what enters them, folded into what makes it, and ranges searched",
      .source = "AWQ (arXiv:2306.00978): scales from root mean squares, ranges by weighted squared error",
      .needs = ValueSearch::Needs::kGram,
      .folding = ValueSearch::Folding::kAwq,
      .run = [](const SearchInput& in) { return SearchedValues{search_codes(in, {.ranges = Ranges::kSearched}, 1)}; }};
}

ValueSearch smoothquant_search() {
  return {.name = "smoothquant",
          .about = "large inputs evened out into the weights, folded as for awq; values as by importance",
          .source = "SmoothQuant (arXiv:2211.10438), alpha 0.5",
          .needs = ValueSearch::Needs::kGram,
          .folding = ValueSearch::Folding::kSmooth,
          .run = [](const SearchInput& in) { return SearchedValues{search_codes(in, {}, 1)}; }};
}

}  // namespace vernier
