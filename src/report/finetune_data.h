#pragma once

// From finetune.json, as `vernier finetune` writes it, to the data of a page: alone, or beside a run's.

#include "base/json.h"

namespace vernier {

/// What the page shows of a training: its curves, and every group before and after. @throws Error{kBadFile} naming the
/// key that is missing
Json finetune_section(const Json& finetune);

/// A page of a training alone.
Json finetune_data(const Json& finetune);

}  // namespace vernier
