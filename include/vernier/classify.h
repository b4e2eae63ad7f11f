#pragma once

// What a model that sees answers to labelled images: a classifier by its classes, CLIP by prompts that name them.
//
//   const LabelledImages images = read_manifest("cifar10/test.csv", class_names_of(model));
//   const Answers answers = classify_images(model, images, {});
//   const GroupAnalysis who = analyse_groups(grouped_examples(images), answers, classify_images(quantized, images, {}), {});

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vernier/compute.h"
#include "vernier/groups.h"
#include "vernier/images.h"
#include "vernier/labelled_images.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/prompts.h"
#include "vernier/stack.h"
#include "vernier/vision_inputs.h"

namespace vernier {

/// Classes of a classifier by index, as `id2label` of its config.json has them; empty where that says nothing: CLIP takes
/// those of the images. @throws Error{kBadFile} for labels that are not 0, 1, 2 ...
std::vector<std::string> class_names_of(const Model& model);

struct ClassifyOptions {
  PromptTemplates prompts = known_prompt_templates().front();  ///< of CLIP; a class is the mean of its prompts
  ComputeOptions compute{};
  /// How the inputs of all matrices are rounded, of CLIP those of both towers. @see EvaluateOptions
  Activations activations = Activations::kExact;
  ActivationRanges ranges = {};
  std::optional<Stack> rounded = {};  ///< of CLIP: the only tower whose inputs are; nothing: both
};

/// Images are decoded and preprocessed as the preprocessor_config.json beside the model says, a batch at a time.
/// CLIP: logits are e^logit_scale times the cosine between an image and the renormalized mean of its class' unit vectors,
/// as OpenAI's notebook on zero-shot classification has it (arXiv 2103.00020).
/// @throws Error{kUnsupported} for models that see nothing; {kInvalidArgument} for another number of classes, or images of
///         another size; as load_image_preprocessor, load_pixel_values and Tokenizer
/// @cost a forward pass per image, on as many threads as compute says
Answers classify_images(const Model& model, const LabelledImages& images, const ClassifyOptions& options = {},
                        ProgressSink* progress = nullptr);

/// The images as calibrating and diagnosing ask for them: decoded and preprocessed as classify_images says, whenever they
/// are asked for. Of a model of images and texts, the prompts of every class. Copies of an image, by content, share a cluster.
/// @cost reads every file once, for the hash
/// @throws Error{kIo, kBadFile} naming the image; as load_image_preprocessor and Tokenizer
AnswerData answer_data(const Model& model, const LabelledImages& images,
                       const PromptTemplates& prompts = known_prompt_templates().front());

/// Tokens of the prompts of each class, class after class. @throws as Tokenizer
std::vector<std::vector<int32_t>> class_prompts(const Model& model, const std::vector<std::string>& classes,
                                                const PromptTemplates& prompts);

/// The images with their classes as the first attribute and those of the manifest after it, but for columns that repeat
/// the classes.
GroupedExamples grouped_examples(const LabelledImages& images);

}  // namespace vernier
