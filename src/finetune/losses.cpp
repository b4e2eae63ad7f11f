#include "finetune/losses.h"

#include <ATen/ATen.h>

#include "base/fail.h"

namespace vernier {

namespace {

at::Tensor mean_over_rows(const at::Tensor& rows, const at::Tensor& labels) {
  const at::Tensor scored = (labels >= 0).sum(-1).clamp_min(1);
  return rows.sum(-1) / scored.to(rows.scalar_type());
}

at::Tensor cross_entropy(const Answered& a) { return mean_over_rows(rows_nll(a), a.labels); }
at::Tensor distillation(const Answered& a) { return mean_over_rows(rows_kl(a), a.labels); }

}  // namespace

at::Tensor rows_nll(const Answered& a) {
  const at::Tensor log_p =
      a.logits.to(a.logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).log_softmax(-1);
  const at::Tensor nll = -log_p.gather(-1, a.labels.clamp_min(0).unsqueeze(-1)).squeeze(-1);
  return nll * (a.labels >= 0);
}

at::Tensor rows_kl(const Answered& a) {
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
      {.name = "cross-entropy", .about = "the data's own labels", .source = "", .of_examples = cross_entropy},
      {.name = "both",
       .about = "the mean of the two",
       .source = "arXiv 1503.02531",
       .needs_teacher = true,
       .of_examples = [](const Answered& a) { return (cross_entropy(a) + distillation(a)) / 2; }},
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
