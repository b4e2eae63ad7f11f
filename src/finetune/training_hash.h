#pragma once

// What was learned from, as one word: checkpoints are of nothing else.

#include <string>

#include "vernier/finetune.h"

namespace vernier {

/// Of groups, tokens, labels and the images' bytes; not of names of files.
std::string training_data_hash(const TrainingData& data);

}  // namespace vernier
