#include <algorithm>
#include <tuple>

#include "model/loaders.h"

namespace vernier {

std::vector<StoredTensor> stored_tensors(const Blueprint& blueprint, FileTensor TensorSpec::*file) {
  std::vector<StoredTensor> tensors;
  std::map<std::string, size_t> index;
  for (const TensorSpec& spec : blueprint.tensors()) {
    const FileTensor& place = spec.*file;
    const auto [it, is_new] = index.try_emplace(place.name, tensors.size());
    if (is_new) tensors.push_back({place.name, place.shape, {}});
    tensors[it->second].parts.push_back(&spec);
  }
  const auto order = [&](const TensorSpec* a, const TensorSpec* b) {
    const FileTensor &x = a->*file, &y = b->*file;
    return std::tie(x.slice, x.first_row) < std::tie(y.slice, y.first_row);
  };
  for (StoredTensor& tensor : tensors) std::sort(tensor.parts.begin(), tensor.parts.end(), order);
  return tensors;
}

std::span<const std::byte> part_of(const TensorSpec& spec, const FileTensor& place, const Scheme& scheme,
                                   std::span<const std::byte> stored) {
  const int64_t rows = spec.shape[0], cols = spec.shape.size() > 1 ? spec.shape[1] : 1;
  if (place.transposed && spec.shape.size() > 1) {
    const auto value = static_cast<size_t>(scheme.bytes(1, 1)), width = static_cast<size_t>(place.shape[1]);
    return stored.subspan(static_cast<size_t>(place.first_row) * value,
                          ((static_cast<size_t>(cols) - 1) * width + static_cast<size_t>(rows)) * value);
  }
  const auto row = static_cast<size_t>(scheme.bytes(1, cols));
  const size_t slice_rows = place.slice >= 0 ? static_cast<size_t>(place.shape[1]) : 0;
  const size_t first =
      (place.slice >= 0 ? static_cast<size_t>(place.slice) * slice_rows : 0) + static_cast<size_t>(place.first_row);
  return stored.subspan(first * row, static_cast<size_t>(rows) * row);
}

}  // namespace vernier
