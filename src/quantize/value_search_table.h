#pragma once

// The rows of value_searches(), each defined in the file of its name.

#include "quantize/grid_search.h"
#include "vernier/value_search.h"

namespace vernier {

ValueSearch auto_search();
ValueSearch awq_search();
ValueSearch coordinate_search();
ValueSearch gptq_search();
ValueSearch importance_search();
ValueSearch learned_search();
ValueSearch nearest_search();
ValueSearch smoothquant_search();

/// A recipe with the Gram matrix of the whole text, importance's encode() where there is none.
std::vector<std::byte> search_codes(const SearchInput& in, const GridRecipe& recipe, double shrink);

}  // namespace vernier
