// Scales and codes of least importance-weighted squared error, block by block: what encode() does.

#include "quantize/value_search_table.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

ValueSearch importance_search() {
  return {.name = "importance",
          .about = "least error weighted by what calibration says of each input channel",
          .source = "llama.cpp's importance matrix (Kawrakow 2024); weights as encode() says",
          .needs = ValueSearch::Needs::kImportance,
          .run = [](const SearchInput& in) {
            return SearchedValues{quantize_bytes(in.scheme, in.weight, in.importance, in.threads, in.what)};
          }};
}

}  // namespace vernier
