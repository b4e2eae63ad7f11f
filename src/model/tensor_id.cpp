#include "vernier/tensor_id.h"

#include <array>

#include "base/fail.h"
#include "model/indexed_name.h"

namespace vernier {

namespace {

struct RoleRow {
  std::string_view word;  ///< of GGUF, where it has one
  std::string_view name;  ///< in name_of; biases and norms share the word of what they belong to
  bool matrix = false;
  bool per_layer = true;
};

// In the order of TensorRole.
constexpr std::array<RoleRow, kTensorRoleCount> kRoleRows = {{
    {"token_embd", "embed", true, false},
    {"position_embd", "position_embd", false, false},
    {"attn_norm", "attn_norm"},
    {"attn_norm", "attn_norm_bias"},
    {"attn_q", "attn_q", true},
    {"attn_q", "attn_q_bias"},
    {"attn_q_norm", "attn_q_norm"},
    {"attn_k", "attn_k", true},
    {"attn_k", "attn_k_bias"},
    {"attn_k_norm", "attn_k_norm"},
    {"attn_v", "attn_v", true},
    {"attn_v", "attn_v_bias"},
    {"attn_sinks", "attn_sinks"},
    {"attn_output", "attn_output", true},
    {"attn_output", "attn_output_bias"},
    {"post_attention_norm", "attn_post_norm"},
    {"ffn_norm", "ffn_norm"},
    {"ffn_norm", "ffn_norm_bias"},
    {"router", "router", true},
    {"ffn_gate", "ffn_gate", true},
    {"ffn_gate", "ffn_gate_bias"},
    {"ffn_up", "ffn_up", true},
    {"ffn_up", "ffn_up_bias"},
    {"ffn_down", "ffn_down", true},
    {"ffn_down", "ffn_down_bias"},
    {"shared_gate", "shared_gate", true},
    {"shared_up", "shared_up", true},
    {"shared_down", "shared_down", true},
    {"shared_switch", "shared_switch", true},
    {"post_ffw_norm", "ffn_post_norm"},
    {"output_norm", "output_norm", false, false},
    {"output_norm", "output_norm_bias", false, false},
    {"output", "lm_head", true, false},
}};

const RoleRow& row_of(TensorRole role) { return kRoleRows[static_cast<size_t>(role)]; }

}  // namespace

bool is_matrix(TensorRole role) { return row_of(role).matrix; }

std::optional<TensorRole> bias_of(TensorRole role) {
  const auto next = static_cast<size_t>(role) + 1;
  if (next >= kRoleRows.size() || kRoleRows[next].name != std::string(row_of(role).name) + "_bias") return std::nullopt;
  return static_cast<TensorRole>(next);
}

std::string_view role_name(TensorRole role) { return row_of(role).word; }

std::string name_of(const TensorId& id) { return join_name(id.layer, id.expert, row_of(id.role).name); }

TensorId parse_tensor(std::string_view name) {
  if (const auto parts = split_name(name))
    for (size_t i = 0; i < kRoleRows.size(); ++i)
      if (kRoleRows[i].name == parts->part && kRoleRows[i].per_layer == (parts->layer >= 0))
        return {static_cast<TensorRole>(i), parts->layer, parts->expert};
  fail(ErrorKind::kInvalidArgument,
       "tensor \"{}\": expected L<layer>.<role> such as L3.ffn_down, L<layer>.expert<i>.<role>, embed or lm_head",
       name);
}

}  // namespace vernier
