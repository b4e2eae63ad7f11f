#include "vernier/component.h"

#include <algorithm>
#include <array>

#include "base/fail.h"
#include "model/indexed_name.h"
#include "vernier/blueprint.h"
#include "vernier/model_config.h"

namespace vernier {

namespace {

using Role = TensorRole;
using Slices = std::vector<WeightSlice>;

WeightSlice whole(const ModelConfig& config, const TensorId& id) {
  const std::vector<int64_t> shape = shape_of(config, id);
  return {id, 0, shape[0], 0, shape[1]};
}

/// Those matrices of a layer that `inside` says yes to.
template <class Predicate>
Slices matrices_in(const ModelConfig& config, int layer, Predicate&& inside) {
  Slices slices;
  for (const TensorId& id : tensors_in(config, layer))
    if (is_matrix(id.role) && inside(id)) slices.push_back(whole(config, id));
  return slices;
}

Slices head_slices(const ModelConfig& config, const Component& c) {
  const AttentionConfig& a = config.layer(c.layer).attention;
  WeightSlice q = whole(config, {Role::kAttnQ, c.layer, -1, c.stack});
  WeightSlice output = whole(config, {Role::kAttnOutput, c.layer, -1, c.stack});
  q.first_row = output.first_col = c.index * a.head_dim;
  q.rows = output.cols = a.head_dim;
  return {q, output};
}

Slices kv_head_slices(const ModelConfig& config, const Component& c) {
  const int64_t width = config.layer(c.layer).attention.head_dim;
  Slices slices{whole(config, {Role::kAttnK, c.layer, -1, c.stack}),
                whole(config, {Role::kAttnV, c.layer, -1, c.stack})};
  for (WeightSlice& slice : slices) slice.first_row = c.index * width, slice.rows = width;
  return slices;
}

bool in_feed_forward(const TensorId& id) { return id.role >= Role::kRouter && id.role <= Role::kSharedSwitch; }

Slices ffn_slices(const ModelConfig& config, const Component& c) {
  return matrices_in(config, c.layer, in_feed_forward);
}

Slices expert_slices(const ModelConfig& config, const Component& c) {
  return matrices_in(config, c.layer, [&](const TensorId& id) { return id.expert == c.index; });
}

Slices layer_slices(const ModelConfig& config, const Component& c) {
  return matrices_in(config, c.layer, [](const TensorId&) { return true; });
}

Slices tensor_slices(const ModelConfig& config, const Component& c) {
  return {whole(config, {c.role, c.layer, c.expert, c.stack})};
}
Slices router_slices(const ModelConfig& config, const Component& c) {
  return {whole(config, {Role::kRouter, c.layer, -1, c.stack})};
}
Slices embed_slices(const ModelConfig& config, const Component& c) {
  return {whole(config, {Role::kTokenEmbedding, -1, -1, c.stack})};
}
Slices lm_head_slices(const ModelConfig& config, const Component& c) {
  return {whole(config, {Role::kOutput, -1, -1, c.stack})};
}

int64_t heads(const LayerConfig& layer) { return layer.attention.heads; }
int64_t kv_heads(const LayerConfig& layer) { return layer.attention.kv_heads; }
int64_t experts(const LayerConfig& layer) { return layer.feed_forward.experts.count; }
int64_t routers(const LayerConfig& layer) { return layer.feed_forward.experts.count > 0 ? 1 : 0; }
int64_t one(const LayerConfig&) { return 1; }

Restart restart_of_tensor(const Component& c) {
  if (c.layer < 0) return c.role == Role::kPatchEmbedding ? Restart::kEmbedding : Restart::kOutputMatrix;
  if (c.role == Role::kAttnOutput) return Restart::kAttentionOutput;
  return in_feed_forward({c.role, c.layer, c.expert}) ? Restart::kFeedForward : Restart::kAttention;
}

struct KindRow {
  std::string_view name;
  std::string_view part;                 ///< in names, after the layer
  bool numbered;                         ///< followed by an index
  int64_t (*count)(const LayerConfig&);  ///< how many a layer has; nullptr: not in layers, or not counted
  Slices (*slices)(const ModelConfig&, const Component&);
  Restart restart;
};

// In the order of ComponentKind, which is that of measuring within a layer.
constexpr std::array<KindRow, kComponentKindCount> kKinds = {{
    {"head", "head", true, heads, head_slices, Restart::kAttention},
    {"kv_head", "kv", true, kv_heads, kv_head_slices, Restart::kAttention},
    {"ffn", "ffn", false, one, ffn_slices, Restart::kFeedForward},
    {"expert", "expert", true, experts, expert_slices, Restart::kFeedForward},
    {"router", "router", false, routers, router_slices, Restart::kFeedForward},
    {"tensor", "", false, nullptr, tensor_slices, Restart::kAttention},
    {"layer", "", false, one, layer_slices, Restart::kAttention},
    {"embed", "embed", false, nullptr, embed_slices, Restart::kEmbedding},
    {"lm_head", "lm_head", false, nullptr, lm_head_slices, Restart::kOutputMatrix},
}};

const KindRow& row_of(ComponentKind kind) { return kKinds[static_cast<size_t>(kind)]; }

/// How many of the kind a layer has.
int64_t count_in(const ModelConfig& config, int layer, ComponentKind kind) {
  return row_of(kind).count(config.layer(layer));
}

}  // namespace

std::string_view kind_name(ComponentKind kind) { return row_of(kind).name; }

ComponentKind parse_kind(std::string_view name) {
  std::string names;
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (kKinds[i].name == name) return static_cast<ComponentKind>(i);
    names += fmt::format("{}{}", i == 0 ? "" : ", ", kKinds[i].name);
  }
  fail(ErrorKind::kInvalidArgument, "component kind \"{}\": expected one of {}", name, names);
}

std::set<ComponentKind> all_component_kinds() {
  std::set<ComponentKind> kinds;
  for (int kind = 0; kind < kComponentKindCount; ++kind) kinds.insert(static_cast<ComponentKind>(kind));
  return kinds;
}

std::string name_of(const Component& c) {
  if (c.kind == ComponentKind::kTensor) return name_of(TensorId{c.role, c.layer, c.expert, c.stack});
  const KindRow& row = row_of(c.kind);
  return join_name(c.stack, c.layer, -1, row.numbered ? fmt::format("{}{}", row.part, c.index) : std::string(row.part));
}

Component component_of(const TensorId& matrix) {
  Component component{ComponentKind::kTensor, matrix.layer, 0, matrix.role, matrix.expert, matrix.stack};
  if (matrix.role == Role::kTokenEmbedding) component = {.kind = ComponentKind::kEmbed, .stack = matrix.stack};
  if (matrix.role == Role::kOutput) component = {.kind = ComponentKind::kLmHead, .stack = matrix.stack};
  if (matrix.role == Role::kRouter)
    component = {.kind = ComponentKind::kRouter, .layer = matrix.layer, .stack = matrix.stack};
  return component;
}

bool is_one_matrix(ComponentKind kind) {
  return kind == ComponentKind::kTensor || kind == ComponentKind::kRouter || kind == ComponentKind::kEmbed ||
         kind == ComponentKind::kLmHead;
}

Component parse_component(std::string_view name) {
  const auto refuse = [&] {
    fail(ErrorKind::kInvalidArgument,
         "component \"{}\": expected L<layer>, L<layer>.head<i>, L<layer>.kv<i>, L<layer>.ffn, L<layer>.expert<i>, "
         "L<layer>.router, L<layer>.<matrix> (attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down; of an "
         "expert L<layer>.expert<i>.ffn_up), embed, lm_head, patch_embed, classifier or projection; of one of several "
         "stacks "
         "image.<part> or text.<part>",
         name);
  };
  const auto parts = split_name(name);
  if (!parts) refuse();
  const auto in_layer = [&](ComponentKind kind, int index) {
    return Component{.kind = kind, .layer = parts->layer, .index = index, .stack = parts->stack};
  };
  if (parts->expert >= 0 && parts->part.empty()) return in_layer(ComponentKind::kExpert, parts->expert);
  if (parts->layer >= 0 && parts->expert < 0)
    for (size_t i = 0; i < kKinds.size(); ++i) {
      const KindRow& row = kKinds[i];
      if (row.count == nullptr || !parts->part.starts_with(row.part)) continue;
      const std::string_view rest = parts->part.substr(row.part.size());
      const auto index = row.numbered ? parse_index(rest) : std::optional(0);
      if (index && (row.numbered || rest.empty())) return in_layer(static_cast<ComponentKind>(i), *index);
    }
  try {
    const TensorId id = parse_tensor(name);
    if (is_matrix(id.role)) return component_of(id);
  } catch (const Error&) {  // the forms of components say more
  }
  refuse();
  return {};
}

namespace {

/// Whether a component's layer and number are there.
bool has_place(const ModelConfig& stack, const Component& c) {
  const KindRow& row = row_of(c.kind);
  if (c.kind == ComponentKind::kEmbed || c.kind == ComponentKind::kLmHead) return true;  // its shape says
  if (row.count == nullptr && c.layer < 0) {
    const std::vector<TensorId> outside = tensors_in(stack, -1);
    return std::find(outside.begin(), outside.end(), TensorId{c.role, -1, -1, c.stack}) != outside.end();
  }
  return c.layer >= 0 && c.layer < stack.depth() &&
         (row.count == nullptr || (c.index >= 0 && c.index < count_in(stack, c.layer, c.kind)));
}

}  // namespace

std::vector<WeightSlice> slices_of(const ModelConfig& config, const Component& c) {
  const KindRow& row = row_of(c.kind);
  const ModelConfig* stack = config.find_stack(c.stack);
  if (stack == nullptr || !has_place(*stack, c))
    fail(ErrorKind::kInvalidArgument, "component {}: the model has no such part", name_of(c));
  return row.slices(*stack, c);
}

Restart restart_of(const Component& component) {
  return component.kind == ComponentKind::kTensor ? restart_of_tensor(component) : row_of(component.kind).restart;
}

std::vector<Component> components_of(const ModelConfig& config, const std::set<ComponentKind>& kinds) {
  std::vector<Component> all;
  const auto outside = [&](bool before_layers) {
    for (const TensorId& id : tensors_in(config, -1)) {
      const Component component = component_of(id);
      if (is_matrix(id.role) && kinds.contains(component.kind) && (id.role < Role::kAttnNorm) == before_layers)
        all.push_back(component);
    }
  };
  outside(true);
  for (int layer = 0; layer < config.depth(); ++layer)
    for (const ComponentKind kind : kinds) {  // in the order of the enum
      if (kind == ComponentKind::kTensor)
        for (const WeightSlice& slice : layer_slices(config, {ComponentKind::kLayer, layer})) {
          const Component component = component_of(slice.tensor);  // a router may stand there by its own kind
          if (component.kind == kind || !kinds.contains(component.kind)) all.push_back(component);
        }
      else if (row_of(kind).count != nullptr)
        for (int i = 0; i < count_in(config, layer, kind); ++i)
          all.push_back({.kind = kind, .layer = layer, .index = i, .stack = config.stack});
    }
  outside(false);
  for (const ModelConfig& stack : config.stacks)
    for (const Component& component : components_of(stack, kinds)) all.push_back(component);
  return all;
}

}  // namespace vernier
