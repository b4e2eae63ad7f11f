// Rounding to nearest, then coordinate descent on the codes against the Gram matrix.

#include "quantize/grid_search.h"
#include "quantize/value_search_table.h"

namespace vernier {

ValueSearch coordinate_search() {
  return {.name = "coordinate",
          .about = "rounded, then codes moved one at a time to where outputs err least",
          .source = "coordinate descent on the layer-wise objective of GPTQ (as in QuantEase, arXiv:2309.01885)",
          .needs = ValueSearch::Needs::kGram,
          .run = [](const SearchInput& in) { return SearchedValues{search_codes(in, {.descend = true}, 0.01)}; }};
}

}  // namespace vernier
