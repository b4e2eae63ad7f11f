#pragma once

// The rows of targets(), each defined in the file of its name.

#include "vernier/target.h"

namespace vernier {

Target llama_cpp_target();
Target hugging_face_target();

}  // namespace vernier
