#pragma once

// What models answer to data with groups, made ready for analysis: images, documents, running texts, questions with
// several answers, pairs of sentences. All models run beside the reference, and no logits of text are kept.
//
//   const std::vector<GroupedAnswers> answers = answer_documents(model, {&quantized}, windows);
//   const GroupStudy study = study_groups(answers, {"int4:channel"}, {});

#include <string>
#include <vector>

#include "vernier/choices.h"
#include "vernier/classify.h"
#include "vernier/evaluate.h"
#include "vernier/group_study.h"
#include "vernier/labelled_images.h"

namespace vernier {

/// An image is an example. @throws, @cost as classify_images, for each model
std::vector<GroupedAnswers> answer_images(const Model& reference, const std::vector<const Model*>& models,
                                          const LabelledImages& images, const ClassifyOptions& options = {},
                                          ProgressSink* progress = nullptr);

/// A cluster of the data (a document, a window of running text) is an example; its groups are Cluster::group. Figures are means
/// over its tokens, weighted by them: unit "token". Where the data are documents also with losses per byte, weighted by
/// bytes, and, of those that occur in several groups (Cluster::version_of), per document, each counting alike. Versions of
/// a document are resampled together, and copies of a text.
/// Rescaled losses are those with all logits multiplied by one factor per model, as rescaled_answers.
/// @throws as evaluate  @cost a forward pass of the reference and two of each model; all are in memory at once
std::vector<GroupedAnswers> answer_documents(const Model& reference, const std::vector<const Model*>& models,
                                             const EvaluationData& data, const EvaluateOptions& options = {},
                                             ProgressSink* progress = nullptr);

/// A question is an example: its logits are the log-likelihoods of its answers, so that a loss is that of the right one among
/// them. `texts`: choice_texts of the items. @throws, @cost as evaluate
std::vector<GroupedAnswers> answer_choices(const Model& reference, const std::vector<const Model*>& models,
                                           const std::vector<ChoiceItem>& items, const ScoredTexts& texts,
                                           const EvaluateOptions& options = {}, ProgressSink* progress = nullptr);

/// A pair is an example: which sentence is likelier, and the loss per token of both. Attributes are the bias type, and which
/// of the pairs speak against a stereotype. `texts`: pair_texts of the pairs. @throws, @cost as evaluate
std::vector<GroupedAnswers> answer_pairs(const Model& reference, const std::vector<const Model*>& models,
                                         const std::vector<SentencePair>& pairs, const ScoredTexts& texts,
                                         const EvaluateOptions& options = {}, ProgressSink* progress = nullptr);

}  // namespace vernier
