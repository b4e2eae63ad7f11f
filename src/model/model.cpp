#include "vernier/model.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/fail.h"
#include "base/hash.h"
#include "model/page_budget.h"

namespace vernier {

Model::Model(ModelConfig config, ModelSource source)
    : config_(std::move(config)), blueprint_(std::make_shared<Blueprint>(config_)), source_(std::move(source)) {}

const Model::Entry* Model::find(const TensorId& id) const {
  const auto it = weights_.find(id);
  return it == weights_.end() ? nullptr : &it->second;
}

at::Tensor Model::weight(const TensorId& id) const {
  const Entry* entry = find(id);
  if (entry == nullptr) return {};
  return entry->stored ? entry->stored->values() : entry->plain;
}

std::vector<int64_t> Model::shape(const TensorId& id) const {
  const Entry* entry = find(id);
  if (entry == nullptr) return {};
  if (entry->stored) return {entry->stored->rows(), entry->stored->cols()};
  return entry->plain.sizes().vec();
}

const StoredMatrix* Model::stored(const TensorId& id) const {
  const Entry* entry = find(id);
  return entry != nullptr && entry->stored ? &*entry->stored : nullptr;
}

std::optional<Scheme> Model::stored_scheme(const TensorId& id) const {
  const Entry* entry = find(id);
  return entry == nullptr ? std::nullopt : entry->scheme;
}

Scheme Model::scheme_in_file(const TensorId& id) const {
  if (const auto scheme = stored_scheme(id)) return *scheme;
  const Entry* entry = find(id);
  if (entry != nullptr && entry->plain.scalar_type() == at::kHalf) return Scheme::parse("f16");
  if (entry != nullptr && entry->plain.scalar_type() == at::kBFloat16) return Scheme::parse("bf16");
  return Scheme::parse("f32");
}

std::vector<TensorId> Model::tensors() const {
  std::vector<TensorId> ids;
  for (const auto& [id, entry] : weights_) ids.push_back(id);
  std::sort(ids.begin(), ids.end(), comes_before);
  return ids;
}

std::vector<TensorId> Model::matrices() const {
  std::vector<TensorId> ids = tensors();
  std::erase_if(ids, [](const TensorId& id) { return !is_matrix(id.role); });
  return ids;
}

TensorId Model::output_matrix() const {
  return {config_.tied_embedding ? TensorRole::kTokenEmbedding : TensorRole::kOutput, -1};
}

int64_t Model::parameters() const {
  int64_t count = 0;
  for (const auto& [id, entry] : weights_)
    count += entry.stored ? entry.stored->rows() * entry.stored->cols() : entry.plain.numel();
  return count;
}

uint64_t Model::stored_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [id, entry] : weights_) {
    const std::vector<int64_t> dims = shape(id);
    bytes += entry.scheme ? entry.scheme->bytes(dims[0], dims[1]) : entry.plain.nbytes();
  }
  return bytes;
}

namespace {

std::string hash_content(const Model& model) {
  Hasher hasher;
  PageBudget pages(model);
  const auto add = [&](const std::vector<ConfigField>& fields) {
    for (const ConfigField& field : fields) hasher.add(fmt::format("{} {}", field.name, text_of(field)));
  };
  add(fields_of(model.config()));
  for (const LayerConfig& layer : model.config().layers) add(fields_of(layer));
  for (const TensorId& id : model.tensors()) {
    // A quantized matrix by its bytes, which decide the values.
    const StoredMatrix* stored = model.stored(id);
    const at::Tensor weight = stored != nullptr ? stored->bytes() : model.weight(id).contiguous();
    hasher.add(fmt::format("{} {}", name_of(id),
                           stored != nullptr ? stored->scheme().name() : c10::toString(weight.scalar_type())));
    hasher.add(std::span(static_cast<const std::byte*>(weight.data_ptr()), weight.nbytes()));
    pages.read(static_cast<int64_t>(weight.nbytes()));
  }
  return hasher.hex();
}

}  // namespace

std::string model_hash(const Model& model) {
  std::call_once(model.hash_->once, [&] { model.hash_->hex = hash_content(model); });
  return model.hash_->hex;
}

Model to_float32(const Model& model, bool requires_grad) {
  Model copy(model.config(), model.source());
  for (const TensorId& id : model.tensors()) {
    at::Tensor weight = model.weight(id).detach().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
    copy.set_weight(id, requires_grad ? weight.set_requires_grad(true) : weight);
  }
  return copy;
}

}  // namespace vernier
