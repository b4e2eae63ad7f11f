#include "finetune/losses.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/fail.h"
#include "finetune/distilled_rows.h"
#include "finetune/stream_metric.h"

namespace vernier {

namespace {

at::Tensor mean_over_rows(const at::Tensor& rows, const at::Tensor& labels) {
  const at::Tensor scored = (labels >= 0).sum(-1).clamp_min(1);
  return rows.sum(-1) / scored.to(rows.scalar_type());
}

at::Tensor cross_entropy(const Answered& a) { return mean_over_rows(rows_nll(a), a.labels); }
at::Tensor distillation(const Answered& a) { return mean_over_rows(rows_kl(a), a.labels); }

/// Mean over layers and rows of the squared distance from the teacher's stream, relative to the row's own power: some rows
/// are a thousand times as long as others.
at::Tensor stream_distance(const Answered& a) {
  at::Tensor sum;
  for (size_t layer = 0; layer < a.streams.size(); ++layer) {
    const at::Tensor teacher = a.teacher_streams[layer].detach();
    const at::Tensor rows = (a.streams[layer] - teacher).square().sum(-1) / teacher.square().sum(-1).clamp_min(1e-12);
    const at::Tensor own =
        rows.sizes() == a.labels.sizes() ? mean_over_rows(rows * (a.labels >= 0), a.labels) : rows.mean(-1);
    sum = sum.defined() ? sum + own : own;
  }
  return sum / static_cast<double>(a.streams.size());
}

/// -log of the share that the images' own texts have of each row of cosines; several images may have one text.
at::Tensor negative_log_share(const at::Tensor& cosines, const at::Tensor& same) {
  const at::Tensor own = cosines.masked_fill(same.logical_not(), -std::numeric_limits<double>::infinity());
  return cosines.logsumexp(-1) - own.logsumexp(-1);
}

/// Both ways: which text belongs to an image, and which image to its text.
at::Tensor contrastive(const Answered& a) {
  const at::Tensor cosines = at::matmul(a.pairs.images, a.pairs.texts.t()) * a.pairs.scale;
  return (negative_log_share(cosines, a.same_text) + negative_log_share(cosines.t(), a.same_text)) / 2;
}

/// Half the squared distances of both unit vectors from the teacher's: 1 - their cosines.
at::Tensor feature_distance(const Answered& a) {
  const auto squares = [](const at::Tensor& x, const at::Tensor& y) { return (x - y.detach()).square().sum(-1); };
  return (squares(a.pairs.images, a.teacher_pairs.images) + squares(a.pairs.texts, a.teacher_pairs.texts)) / 2;
}

}  // namespace

at::Tensor rows_nll(const Answered& a) {
  const at::Tensor log_p =
      a.logits.to(a.logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).log_softmax(-1);
  const at::Tensor nll = -log_p.gather(-1, a.labels.clamp_min(0).unsqueeze(-1)).squeeze(-1);
  return nll * (a.labels >= 0);
}

at::Tensor rows_kl(const Answered& a) {
  if (a.once) return distilled_rows(a.logits, a.teacher) * (a.labels >= 0);
  const at::ScalarType type = a.logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor log_p = a.teacher.detach().to(type).log_softmax(-1);
  const at::Tensor kl = (log_p.exp() * (log_p - a.logits.to(type).log_softmax(-1))).sum(-1);
  return kl * (a.labels >= 0);
}

const std::vector<LossRow>& losses() {
  static const std::vector<LossRow> rows = {
      {.name = "distillation",
       .about = "KL from the full-precision model's answers",
       .source = "arXiv 1503.02531, temperature 1; of language models arXiv 2305.17888",
       .needs_teacher = true,
       .of_examples = distillation},
      {.name = "cross-entropy",
       .about = "the data's own labels",
       .source = "",
       .needs_labels = true,
       .of_examples = cross_entropy},
      {.name = "both",
       .about = "the mean of the two",
       .source = "arXiv 1503.02531",
       .needs_teacher = true,
       .needs_labels = true,
       .of_examples = [](const Answered& a) { return (cross_entropy(a) + distillation(a)) / 2; }},
      {.name = "distillation-streams",
       .about = "KL and how far the stream after each layer is from full precision's",
       .source = "arXiv 1503.02531, and 1909.10351 (section 3.1) without its projection",
       .needs_teacher = true,
       .needs_streams = true,
       .of_examples = [](const Answered& a) { return distillation(a) + a.feature_weight * stream_distance(a); }},
      {.name = "distillation-fisher",
       .about = "KL and what it means for the answers how far the stream after each layer is from full precision's",
       .source = "arXiv 1503.02531, with the curvature of 1503.05671 for the output of each layer",
       .needs_teacher = true,
       .needs_streams = true,
       .needs_metrics = true,
       .of_examples =
           [](const Answered& a) { return distillation(a) + a.feature_weight * stream_divergence(*a.metrics, a); }},
      {.name = "contrastive",
       .about = "which text belongs to which image of a batch (CLIP)",
       .source = "arXiv 2103.00020, figure 3; images of one text share it",
       .needs_labels = true,
       .needs_pairs = true,
       .of_examples = contrastive},
      {.name = "contrastive-features",
       .about = "the same and how far unit vectors are from full precision's (CLIP)",
       .source = "arXiv 2509.21173 names it",
       .needs_teacher = true,
       .needs_labels = true,
       .needs_pairs = true,
       .of_examples = [](const Answered& a) { return contrastive(a) + a.feature_weight * feature_distance(a); }},
  };
  return rows;
}

const LossRow& find_loss(const std::string& name) {
  std::string known;
  for (const LossRow& row : losses()) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + row.name;
  }
  fail(ErrorKind::kInvalidArgument, "finetune: \"{}\" is no loss; there are {}", name, known);
}

}  // namespace vernier
