#include "vernier/component.h"

#include <array>
#include <charconv>
#include <optional>

#include "base/fail.h"

namespace vernier {

namespace {

struct RoleRow {
  std::string_view name;
  bool matrix;
  bool per_layer;
  std::string_view suffix;  // of the GGUF name
};

// In the order of TensorRole.
// clang-format off
constexpr std::array<RoleRow, kTensorRoleCount> kRoles = {{
    {"token_embd", true, false, "weight"},
    {"attn_norm", false, true, "weight"},
    {"attn_q", true, true, "weight"},
    {"attn_q", false, true, "bias"},
    {"attn_q_norm", false, true, "weight"},
    {"attn_k", true, true, "weight"},
    {"attn_k", false, true, "bias"},
    {"attn_k_norm", false, true, "weight"},
    {"attn_v", true, true, "weight"},
    {"attn_v", false, true, "bias"},
    {"attn_output", true, true, "weight"},
    {"attn_output", false, true, "bias"},
    {"ffn_norm", false, true, "weight"},
    {"ffn_gate", true, true, "weight"},
    {"ffn_gate", false, true, "bias"},
    {"ffn_up", true, true, "weight"},
    {"ffn_up", false, true, "bias"},
    {"ffn_down", true, true, "weight"},
    {"ffn_down", false, true, "bias"},
    {"output_norm", false, false, "weight"},
    {"output", true, false, "weight"},
}};
// clang-format on

const RoleRow& row_of(TensorRole role) { return kRoles[static_cast<size_t>(role)]; }

std::optional<int> parse_index(std::string_view text) {
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<TensorRole> find_role(std::string_view name, std::string_view suffix, bool per_layer) {
  for (size_t i = 0; i < kRoles.size(); ++i)
    if (kRoles[i].name == name && kRoles[i].suffix == suffix && kRoles[i].per_layer == per_layer)
      return static_cast<TensorRole>(i);
  return std::nullopt;
}

}  // namespace

bool is_matrix(TensorRole role) { return row_of(role).matrix; }
bool is_per_layer(TensorRole role) { return row_of(role).per_layer; }
std::string_view role_name(TensorRole role) { return row_of(role).name; }

std::string name_of(const TensorId& id) {
  if (id.role == TensorRole::kTokenEmbedding) return "embed";
  if (id.role == TensorRole::kOutput) return "lm_head";
  const RoleRow& row = row_of(id.role);
  const std::string_view bias = row.suffix == "bias" ? "_bias" : "";
  return row.per_layer ? fmt::format("L{}.{}{}", id.layer, row.name, bias) : std::string(row.name);
}

std::string gguf_name(const TensorId& id) {
  const RoleRow& row = row_of(id.role);
  return row.per_layer ? fmt::format("blk.{}.{}.{}", id.layer, row.name, row.suffix)
                       : fmt::format("{}.{}", row.name, row.suffix);
}

TensorId parse_gguf_name(std::string_view name) {
  std::string_view rest = name;
  int layer = -1;
  if (rest.starts_with("blk.")) {
    rest.remove_prefix(4);
    const auto dot = rest.find('.');
    const auto index = dot == std::string_view::npos ? std::nullopt : parse_index(rest.substr(0, dot));
    if (!index) fail(ErrorKind::kInvalidArgument, "tensor name \"{}\": expected blk.<layer>.<role>.weight", name);
    layer = *index;
    rest.remove_prefix(dot + 1);
  }
  const auto dot = rest.rfind('.');
  if (dot != std::string_view::npos)
    if (const auto role = find_role(rest.substr(0, dot), rest.substr(dot + 1), layer >= 0)) return {*role, layer};
  fail(ErrorKind::kInvalidArgument, "tensor name \"{}\": no tensor of a supported architecture has it", name);
}

std::string name_of(const SiteId& id) {
  constexpr std::array<std::string_view, kSiteCount> kNames = {"attn_input", "attn_output_input", "ffn_input",
                                                               "ffn_down_input", "output_input"};
  const std::string_view name = kNames[static_cast<size_t>(id.site)];
  return id.layer >= 0 ? fmt::format("L{}.{}", id.layer, name) : std::string(name);
}

std::string_view kind_name(ComponentKind kind) {
  switch (kind) {
    case ComponentKind::kHead: return "head";
    case ComponentKind::kKvHead: return "kv_head";
    case ComponentKind::kFfn: return "ffn";
    case ComponentKind::kTensor: return "tensor";
    case ComponentKind::kLayer: return "layer";
    case ComponentKind::kEmbed: return "embed";
    case ComponentKind::kLmHead: return "lm_head";
  }
  fail(ErrorKind::kInternal, "component kind {}", static_cast<int>(kind));
}

std::string name_of(const Component& c) {
  switch (c.kind) {
    case ComponentKind::kHead: return fmt::format("L{}.head{}", c.layer, c.index);
    case ComponentKind::kKvHead: return fmt::format("L{}.kv{}", c.layer, c.index);
    case ComponentKind::kFfn: return fmt::format("L{}.ffn", c.layer);
    case ComponentKind::kTensor: return name_of(TensorId{c.role, c.layer});
    case ComponentKind::kLayer: return fmt::format("L{}", c.layer);
    case ComponentKind::kEmbed: return "embed";
    case ComponentKind::kLmHead: return "lm_head";
  }
  fail(ErrorKind::kInternal, "component kind {}", static_cast<int>(c.kind));
}

Component component_of(const TensorId& matrix) {
  if (matrix.role == TensorRole::kTokenEmbedding) return {ComponentKind::kEmbed};
  if (matrix.role == TensorRole::kOutput) return {ComponentKind::kLmHead};
  return {ComponentKind::kTensor, matrix.layer, 0, matrix.role};
}

Component parse_component(std::string_view name) {
  if (name == "embed") return {ComponentKind::kEmbed};
  if (name == "lm_head") return {ComponentKind::kLmHead};
  if (name.starts_with("L")) {
    const auto dot = name.find('.');
    const auto layer = parse_index(name.substr(1, dot == std::string_view::npos ? dot : dot - 1));
    if (layer && dot == std::string_view::npos) return {ComponentKind::kLayer, *layer};
    if (layer) {
      const std::string_view part = name.substr(dot + 1);
      if (part == "ffn") return {ComponentKind::kFfn, *layer};
      if (part.starts_with("head"))
        if (const auto i = parse_index(part.substr(4))) return {ComponentKind::kHead, *layer, *i};
      if (part.starts_with("kv"))
        if (const auto i = parse_index(part.substr(2))) return {ComponentKind::kKvHead, *layer, *i};
      const auto role = find_role(part, "weight", true);
      if (role && is_matrix(*role)) return {ComponentKind::kTensor, *layer, 0, *role};
    }
  }
  fail(ErrorKind::kInvalidArgument,
       "component \"{}\": expected L<layer>, L<layer>.head<i>, L<layer>.kv<i>, L<layer>.ffn, L<layer>.<matrix> "
       "(attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down), embed or lm_head",
       name);
}

}  // namespace vernier
