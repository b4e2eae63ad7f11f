#pragma once

// What a search of values (value_search.h) leaves of the damage that rounding does, matrix by matrix. Damages are foretold
// and measured for rounding, and a search undoes more of one matrix than of another: of a matrix whose inputs go in few
// directions nearly all, where they go in all directions alike hardly any. A plan for searched values weighs that.
//
//   Plan uniform = plan_uniform(model, "gguf:q4_k");
//   uniform.method = "auto";
//   const QuantizedModel searched = quantize(model, calibration, uniform, threads);
//   export_model(find_target("llama.cpp"), searched, tokenizer_model, "uniform.gguf");  // searches every matrix
//   const DamageTable damage = after_search(table, searched.search_effect());

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "vernier/model.h"

namespace vernier {

struct SearchEffect {
  std::string model_hash;  ///< of what was searched
  std::string method;      ///< find_value_search
  /// tr(D E G E') with searched values, on parts of the calibration's text that they were not made from, over that with values
  /// rounded as by `importance`: G of the inputs, D of the outputs' gradients where they are known (SearchInput). Matrices of
  /// which nothing is known are not in it: they are rounded. Found at one scheme and true of all, within a few hundredths
  /// (docs/values.md): it is a matter of the matrix' inputs.
  std::map<TensorId, double> left;
};

nlohmann::ordered_json search_effect_to_json(const SearchEffect& effect);
/// @throws Error{kBadFile} naming `origin` and the key
SearchEffect search_effect_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
