#include <ATen/ATen.h>

#include <cstring>

#include "model/rope_order.h"
#include "vernier/model.h"

namespace vernier {

namespace {

at::ScalarType scalar_type(const Scheme& scheme) {
  if (scheme == Scheme::parse("f16")) return at::kHalf;
  return scheme == Scheme::parse("bf16") ? at::kBFloat16 : at::kFloat;
}

bool is_plain(const Scheme& scheme) {
  return scheme == Scheme::parse("f32") || scheme == Scheme::parse("f16") || scheme == Scheme::parse("bf16");
}

/// A view of the mapped file, which lives as long as its last tensor.
at::Tensor view_of(const TensorOutline& tensor, at::IntArrayRef shape, at::ScalarType type,
                   const std::shared_ptr<const void>& mapping) {
  auto* data = const_cast<std::byte*>(tensor.bytes.data());
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(type) == 0)
    return at::from_blob(
        data, shape, [mapping](void*) {}, type);
  // A header of odd length, or general.alignment 1, leaves values unaligned: copying those keeps every later cast legal.
  at::Tensor copy = at::empty(shape, type);
  std::memcpy(copy.data_ptr(), data, tensor.bytes.size());
  return copy;
}

/// [out, in] or [n], a view where the file allows it; in float32 where it stores them less 1, which loses nothing.
at::Tensor plain_values(const TensorOutline& tensor, const std::shared_ptr<const void>& mapping) {
  const at::ScalarType type = scalar_type(tensor.scheme);
  if (tensor.less_one) return view_of(tensor, tensor.shape, type, mapping).to(at::kFloat) + 1;
  if (tensor.transposed_width == 0) return view_of(tensor, tensor.shape, type, mapping);
  const int64_t values = static_cast<int64_t>(tensor.bytes.size() / c10::elementSize(type));
  return view_of(tensor, {values}, type, mapping).as_strided(tensor.shape, {1, tensor.transposed_width});
}

}  // namespace

Model load_model(const std::string& name) {
  const ModelOutline outline = outline_model(name);
  Model model(outline.config, outline.source);
  model.on_release_pages(outline.release_pages);
  for (const TensorOutline& tensor : outline.tensors) {
    const int64_t heads = tensor.interleaved_heads;
    if (is_plain(tensor.scheme)) {
      const at::Tensor weight = plain_values(tensor, outline.mapping);
      model.set_weight(tensor.id, heads > 0 ? from_interleaved_rope(weight, heads) : weight);
      if (outline.source.gguf && is_matrix(tensor.id.role)) model.set_stored_scheme(tensor.id, tensor.scheme);
      continue;
    }
    const int64_t rows = tensor.shape[0];
    const at::Tensor bytes =
        view_of(tensor, {rows, static_cast<int64_t>(tensor.bytes.size()) / rows}, at::kByte, outline.mapping);
    model.set_stored(
        tensor.id,
        {tensor.scheme, {rows, tensor.shape[1]}, heads > 0 ? view_from_interleaved_rope(bytes, heads) : bytes});
  }
  return model;
}

}  // namespace vernier
