// Rounding to nearest with every input channel alike: the baseline that needs no text.

#include "quantize/value_search_table.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

ValueSearch nearest_search() {
  return {.name = "nearest",
          .about = "least plain error, without calibration",
          .source = "round to nearest on the scales of least squared error",
          .needs = ValueSearch::Needs::kNothing,
          .run = [](const SearchInput& in) {
            return SearchedValues{quantize_bytes(in.scheme, in.weight, {}, in.threads, in.what)};
          }};
}

}  // namespace vernier
