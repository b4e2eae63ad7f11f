#pragma once

// What a plan's file takes of a budget, as planners ask for it again and again.

#include <cstdint>
#include <functional>

#include "vernier/planning.h"

namespace vernier {

using SizeOf = std::function<uint64_t(const Plan&)>;

/// Target::counted_bytes of the model's plans. All arguments must outlive it.
inline SizeOf size_for(const Target& target, const Model& model, const TokenizerModel& tokenizer,
                       const PlanningOptions& options) {
  return [&](const Plan& plan) { return target.counted_bytes(model, plan, tokenizer, options.file); };
}

}  // namespace vernier
