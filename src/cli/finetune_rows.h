#pragma once

// The rows that options of `vernier finetune` choose from.

#include <string>
#include <vector>

#include "finetune/losses.h"
#include "finetune/sampling.h"
#include "finetune/weighting.h"

namespace vernier {

/// "distillation: KL from ...; cross-entropy: ...".
template <class Row>
std::string rows_help(const std::vector<Row>& rows) {
  std::string help;
  for (const Row& row : rows) help += (help.empty() ? "" : "; ") + row.name + ": " + row.about;
  return help;
}

}  // namespace vernier
