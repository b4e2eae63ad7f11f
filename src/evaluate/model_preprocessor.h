#pragma once

#include "vernier/images.h"
#include "vernier/model.h"

namespace vernier {

/// preprocessor_config.json beside the model, which makes images of the size that the model takes (CLIP's image tower):
/// before any is decoded, since a small file can ask for gigabytes.
/// @throws Error{kBadFile} for another size; as load_image_preprocessor
ImagePreprocessor preprocessor_of(const Model& model);

}  // namespace vernier
