#pragma once

// The rows of value_searches(), each defined in the file of its name.

#include "vernier/value_search.h"

namespace vernier {

ValueSearch importance_search();
ValueSearch nearest_search();

}  // namespace vernier
