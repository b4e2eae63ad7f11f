#pragma once

// What an engine can load, as data: which schemes are open to which tensor, and which tensors must be alike. One of these
// is part of every Target.
//
//   for (const std::string& scheme : rules.schemes_for(facts)) print(scheme);  // Scheme::why_not then checks the shape
//   rules.tied(all_facts);                                                    // what must be alike

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vernier/tensor_id.h"

namespace vernier {

struct TensorFacts {
  TensorRole role = TensorRole::kTokenEmbedding;
  int64_t layer = -1;            ///< -1: belongs to no layer
  int64_t expert = -1;           ///< of a single expert's matrix; -1: of no expert
  std::vector<int64_t> shape{};  ///< [out, in] or [n]
  std::string stored_in{};       ///< tensor of the target's file that holds it, maybe with others
};

struct TargetRules {
  std::string target;                ///< whose they are
  std::vector<std::string> schemes;  ///< to plan with, for matrices
  /// Also, where they are asked for: less error for their bytes, and a search of values that takes several times as long.
  std::vector<std::string> codebooks{};
  std::string fixed_scheme;               ///< of all other tensors
  std::vector<TensorRole> fixed_roles{};  ///< matrices that the engine wants in fixed_scheme all the same
  bool one_scheme_per_tensor = false;     ///< for all that its file holds as one: fused rows, stacked experts
  uint64_t alignment_bytes = 1;           ///< a tensor's bytes are padded to a multiple of this

  /// With the codebooks among the schemes.
  TargetRules with_codebooks() const;
  /// Why a tensor is not planned, as a reason for the recipe; empty when it is planned.
  std::string why_fixed(const TensorFacts& facts) const;
  /// `schemes`, or `fixed_scheme` alone. Whether the shape fits is the scheme's business (block sizes).
  std::vector<std::string> schemes_for(const TensorFacts& facts) const;
  /// Groups of indices that must take one scheme: what one tensor of the file holds.
  std::vector<std::vector<size_t>> tied(std::span<const TensorFacts> tensors) const;
  uint64_t padded_bytes(uint64_t size_bytes) const {
    return (size_bytes + alignment_bytes - 1) / alignment_bytes * alignment_bytes;
  }
};

}  // namespace vernier
