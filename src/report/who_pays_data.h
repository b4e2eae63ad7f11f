#pragma once

// From groups.json, as `vernier groups` writes it, to the data of a page: alone, or beside a run's.

#include "base/json.h"

namespace vernier {

/// What the page shows of a study: the figures that somebody pays in, their gaps, the chains of causes.
/// @throws Error{kBadFile} naming the key that is missing
Json who_pays_section(const Json& study);

/// A page of a study alone.
Json who_pays_data(const Json& study);

}  // namespace vernier
