#pragma once

// What models that answer for whole inputs say, in plain differentiable ATen.
//
//   const at::Tensor logits = classify(load_model("vit-5m-cifar10"), pixels);          // [images, classes]
//   const ImageTextAnswers clip = compare_images_with_texts(load_model("clip"), pixels, ids);

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/aten_model.h"

namespace vernier {

/// pixels [batch, channels, side, side] as preprocessing makes them -> logits [batch, classes], differentiable with
/// respect to every weight that requires a gradient.
/// @throws Error{kInvalidArgument} for images of another size, {kUnsupported} for models that are no classifier of images
at::Tensor classify(const Model& model, const at::Tensor& pixels,
                    const std::optional<AtenModel::Place>& place = std::nullopt);

/// What a stack that sees answers, ready wherever it is: logits [batch, classes] of a classifier, unit vectors
/// [batch, width] of the tower of a model of images and texts. pixels: on its device; `seen_patches` as AtenModel::embed_images
/// takes it.
at::Tensor image_answers(const AtenModel& seeing, const at::Tensor& pixels, const AtenObserver* observer = nullptr,
                         const at::Tensor& seen_patches = {});

/// Texts as one batch ids [texts, time] int64: filled up behind their ends, where nothing is looked at.
at::Tensor padded_texts(std::span<const std::vector<int32_t>> texts);

struct ImageTextAnswers {
  at::Tensor image_embeds;      ///< unit vectors [images, width]
  at::Tensor text_embeds;       ///< unit vectors [texts, width]
  at::Tensor logits_per_image;  ///< [images, texts]: cosines times e^logit_scale
};

/// The same of CLIP, whose texts ids [texts, time] int64 each hold their end; what comes after it is not looked at. `seen_patches`
/// as image_answers takes it.
/// @throws Error{kInvalidArgument} for images of another size, ids outside the vocabulary and texts without an end,
/// {kUnsupported} for models without both stacks
ImageTextAnswers compare_images_with_texts(const Model& model, const at::Tensor& pixels, const at::Tensor& ids,
                                           const std::optional<AtenModel::Place>& place = std::nullopt,
                                           const at::Tensor& seen_patches = {});

}  // namespace vernier
