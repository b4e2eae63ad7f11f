#pragma once

// Tails of the per-token distributions, one row each: JSON and tables are made from these.

#include <span>
#include <string_view>
#include <vector>

#include "vernier/evaluate.h"

namespace vernier {

struct TailRow {
  std::string_view key;   ///< in JSON
  std::string_view name;  ///< in tables
  double Tails::*value;
  double scale = 1;  ///< in tables: 100 for per cent
  int decimals = 6;
};

std::span<const TailRow> tail_rows();

/// @shape kl, delta_p: one entry per scored token; sorted afterwards
Tails tails_of(std::vector<float>& kl, std::vector<float>& delta_p);

}  // namespace vernier
