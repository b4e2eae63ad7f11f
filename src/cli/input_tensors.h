#pragma once

// Inputs of models as tensors of a safetensors file: input_ids and pixel_values, as transformers' processors make them.

#include <ATen/core/Tensor.h>

#include <string>

#include "format/safetensors_file.h"
#include "vernier/calibrate.h"

namespace vernier {

/// input_ids [batch, time] as int64. @throws Error{kBadFile} naming the file for another type or shape, or none
at::Tensor input_ids_of(const SafetensorsFile& file);
/// pixel_values [batch, channels, side, side], float32. @throws as input_ids_of
at::Tensor pixel_values_of(const SafetensorsFile& file);

/// The pixel_values of a file and, for a model of images and texts, its input_ids. The file need not outlive it.
VisionInputs vision_inputs(const std::string& path, const Model& model);

}  // namespace vernier
