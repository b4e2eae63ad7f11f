#pragma once

// A matrix as a file holds it: bytes in a scheme, decoded where values are asked for and not before, so that a quantized
// model takes the memory of its file. Copies share the bytes.
//
//   const StoredMatrix stored(Scheme::parse("gguf:q4_1"), {rows, cols}, bytes);
//   at::Tensor values = stored.values();                     // float32 [rows, cols]

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vernier/scheme.h"

namespace vernier {

class StoredMatrix {
 public:
  /// @shape bytes uint8 with scheme.bytes(rows, cols) elements: [..., bytes of a row] with one leading index per row in
  ///        any strides (so that reordered rows need no copy), or [n] for schemes whose rows are not stored one by one
  /// @throws Error{kInternal} when the size is another
  StoredMatrix(const Scheme& scheme, std::array<int64_t, 2> shape, at::Tensor bytes);
  StoredMatrix(const Scheme& scheme, std::array<int64_t, 2> shape, const std::vector<std::byte>& bytes);

  const Scheme& scheme() const { return scheme_; }
  int64_t rows() const { return shape_[0]; }
  int64_t cols() const { return shape_[1]; }
  /// The stored bytes in the order of the rows, contiguous. @cost a copy where the rows were reordered
  at::Tensor bytes() const { return bytes_.contiguous(); }
  /// float32 [rows, cols]. @cost decodes every weight, each time
  at::Tensor values() const;
  /// Whether decode_row works.
  bool has_rows() const { return scheme_.rows_in_sequence(); }
  /// One row into out [cols]. Only where has_rows().
  void decode_row(int64_t row, float* out) const;

 private:
  Scheme scheme_;
  std::array<int64_t, 2> shape_;
  at::Tensor bytes_;
};

}  // namespace vernier
