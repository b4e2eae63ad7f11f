#pragma once

// KL compares next tokens id by id: a model and its reference must read the text alike.

#include <string>
#include <vector>

#include "cli/console.h"
#include "vernier/model.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// @param tokenizer of the model
/// @param allowed only warns: the user asked for it with --different-tokenizers
/// @throws Error{kInvalidArgument} naming `stage` and the first difference
void require_same_ids(const char* stage, const Model& model, const Tokenizer& tokenizer, const Model& reference,
                      const std::vector<std::string>& texts, bool allowed, Console& console);

}  // namespace vernier
