#include "vernier/stored_matrix.h"

#include <ATen/ATen.h>

#include <cstring>

#include "base/fail.h"

namespace vernier {

namespace {

std::span<const std::byte> span_of(const at::Tensor& bytes) {
  return {static_cast<const std::byte*>(bytes.data_ptr()), bytes.nbytes()};
}

at::Tensor copied(const Scheme& scheme, int64_t rows, const std::vector<std::byte>& bytes) {
  at::Tensor copy = at::empty({static_cast<int64_t>(bytes.size())}, at::kByte);
  std::memcpy(copy.data_ptr(), bytes.data(), bytes.size());
  return scheme.rows_in_sequence() ? copy.view({rows, -1}) : copy;
}

}  // namespace

StoredMatrix::StoredMatrix(const Scheme& scheme, std::array<int64_t, 2> shape, at::Tensor bytes)
    : scheme_(scheme), shape_(shape), bytes_(std::move(bytes)) {
  if (bytes_.nbytes() != scheme_.bytes(rows(), cols()))
    fail(ErrorKind::kInternal, "stored matrix [{}, {}] in {}: {} bytes, expected {}", rows(), cols(), scheme_.name(),
         bytes_.nbytes(), scheme_.bytes(rows(), cols()));
}

StoredMatrix::StoredMatrix(const Scheme& scheme, std::array<int64_t, 2> shape, const std::vector<std::byte>& bytes)
    : StoredMatrix(scheme, shape, copied(scheme, shape[0], bytes)) {}

at::Tensor StoredMatrix::values() const {
  const at::Tensor packed = bytes();
  at::Tensor out = at::empty({rows(), cols()}, at::kFloat);
  decode(scheme_, span_of(packed), rows(), cols(), {out.data_ptr<float>(), static_cast<size_t>(out.numel())});
  return out;
}

void StoredMatrix::decode_row(int64_t row, float* out) const {
  int64_t offset = 0;
  for (int64_t d = bytes_.dim() - 2; d >= 0; --d) {
    offset += row % bytes_.size(d) * bytes_.stride(d);
    row /= bytes_.size(d);
  }
  const auto* first = static_cast<const std::byte*>(bytes_.data_ptr()) + offset;
  decode(scheme_, {first, static_cast<size_t>(bytes_.size(-1))}, 1, cols(), {out, static_cast<size_t>(cols())});
}

}  // namespace vernier
