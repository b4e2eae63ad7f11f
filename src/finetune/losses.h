#pragma once

// What an example costs, a row each.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace vernier {

struct StreamMetric;

/// What a batch of examples was answered. Answers of an example stand in rows; those that are not scored have label -1.
struct Answered {
  at::Tensor logits;   ///< [examples, rows, classes]
  at::Tensor labels;   ///< int64 [examples, rows]
  at::Tensor teacher;  ///< as logits, of the full-precision model; undefined where nobody needs it
  /// Of models of images and texts; undefined for others. A text may describe several images of a batch.
  struct Pairs {
    at::Tensor images, texts;  ///< unit vectors [examples, width]: an image, and the text that belongs to it
    at::Tensor scale;          ///< [1]: what cosines are multiplied by
  };
  Pairs pairs{}, teacher_pairs{};
  at::Tensor same_text{};  ///< bool [examples, examples]
  /// The stream after every layer, [examples, rows or those that answer, hidden], of models of one stack.
  std::vector<at::Tensor> streams{}, teacher_streams{};
  const std::vector<StreamMetric>* metrics = nullptr;  ///< by layer, of losses that need them
  at::Tensor feature_weight{};  ///< scalar, of losses that compare streams or unit vectors as well: of these
  bool once = false;            ///< no second derivative is asked for
};

struct LossRow {
  std::string name;
  std::string about;   ///< one clause, for help texts
  std::string source;  ///< the paper that it follows
  bool needs_teacher = false;
  bool needs_labels =
      false;  ///< or pairs: something that the teacher does not know, so that the teacher itself could learn
  bool needs_pairs = false;    ///< only of models of images and texts
  bool needs_streams = false;  ///< only of the others
  bool needs_metrics = false;  ///< in which these are compared
  /// Nats, the mean over the scored rows of each example. @shape [examples]
  at::Tensor (*of_examples)(const Answered& answered) = nullptr;
};

const std::vector<LossRow>& losses();
/// @throws Error{kInvalidArgument} that lists what exists
const LossRow& find_loss(const std::string& name);

/// Per row in nats, 0 where it is not scored. @shape [examples, rows]
at::Tensor rows_nll(const Answered& answered);
/// KL(teacher || model) of each row.
at::Tensor rows_kl(const Answered& answered);

}  // namespace vernier
