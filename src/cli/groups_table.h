#pragma once

// A study of groups for a terminal: who pays, how far apart the groups are, the chain of causes.

#include "cli/console.h"
#include "vernier/group_study.h"

namespace vernier {

void print_group_study(const GroupStudy& study, Console& console);

}  // namespace vernier
