#pragma once

// How the values that a scheme stores are chosen: one row per method, named by a plan.
//
//   const ValueSearch& search = find_value_search("importance");
//   std::vector<std::byte> bytes = search.run({scheme, weight, importance, threads, "L3.ffn_down"});

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>
#include <vector>

#include "vernier/scheme.h"

namespace vernier {

/// What a search is given of one matrix.
struct SearchInput {
  const Scheme& scheme;
  const at::Tensor& weight;              ///< [rows, cols]
  const std::vector<float>& importance;  ///< mean square of each input channel [cols]; empty where nothing is known
  int threads = 1;                       ///< results do not depend on it
  std::string what;                      ///< for messages
};

struct ValueSearch {
  /// What of a calibration it needs beside the weights.
  enum class Needs { kNothing, kImportance };

  std::string name;
  std::string about;   ///< one clause, for help texts
  std::string source;  ///< the paper or program that it follows
  Needs needs = Needs::kNothing;
  /// Scheme::bytes(rows, cols) many, which decode() reads.
  /// @throws Error{kInvalidArgument} naming `what` when the shape does not fit or a value is not finite
  std::vector<std::byte> (*run)(const SearchInput& input) = nullptr;
};

const std::vector<ValueSearch>& value_searches();
/// @throws Error{kInvalidArgument} that lists what exists
const ValueSearch& find_value_search(const std::string& name);

}  // namespace vernier
