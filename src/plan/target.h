#pragma once

// What an engine can load: which schemes are open to which tensor, and which tensors must be alike.
//
//   const TargetRules rules = target_rules("llama.cpp");
//   for (const std::string& scheme : rules.schemes_for(facts)) ...;      // Scheme::why_not then checks the shape
//   problem.tied = rules.tied(all_facts);

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

struct TensorFacts {
  std::string tensor;   ///< the target's name, such as blk.0.attn_q.weight
  std::string role;     ///< "attn_q", "ffn_down", "router", "norm", "embed", "lm_head" ...
  int64_t layer = -1;   ///< -1: belongs to no layer
  int64_t expert = -1;  ///< of a single expert's matrix that the target stacks; -1: no expert, or stacked already
  std::vector<int64_t> shape;  ///< [out, in], [experts, out, in] or [n]
};

struct TargetRules {
  std::string name;
  std::vector<std::string> schemes;  ///< open to planned matrices
  std::string fixed_scheme;          ///< of all other tensors

  /// Why a tensor is not planned, as a reason for the recipe; empty when it is planned.
  std::string why_fixed(const TensorFacts& facts) const;
  /// `schemes`, or `fixed_scheme` alone. Whether the shape fits is the scheme's business (block sizes).
  std::vector<std::string> schemes_for(const TensorFacts& facts) const;
  /// Groups of indices that must take one scheme: the experts that one stacked tensor holds (same layer and role).
  std::vector<std::vector<size_t>> tied(std::span<const TensorFacts> tensors) const;
};

/// @throws Error{kUnsupported} for "vllm", Error{kInvalidArgument} listing the targets for other names
TargetRules target_rules(std::string_view name);

}  // namespace vernier
