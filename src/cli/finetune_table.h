#pragma once

// Every group before and after training.

#include <string>
#include <vector>

#include "cli/console.h"
#include "vernier/finetune.h"

namespace vernier {

struct FinetuneRow {
  std::string name;
  FinetuneEvaluation evaluation;
};

/// @param rows full precision, before, after, and maybe the control
void print_finetuned(const std::vector<FinetuneRow>& rows, const FinetuneCurve& curve, Console& console);

}  // namespace vernier
