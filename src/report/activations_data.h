#pragma once

// From activations.json, as `vernier activations` writes it, to the data of a page: alone, or beside a run's.

#include "base/json.h"

namespace vernier {

/// What the page shows of a study. @throws Error{kBadFile} for another file, naming the key that is missing
Json activations_section(const Json& study);

/// A page of a study alone. @throws as activations_section
Json activations_page(const Json& study);

}  // namespace vernier
