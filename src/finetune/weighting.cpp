#include "finetune/weighting.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/fail.h"

namespace vernier {

namespace {

/// Inverse frequencies, so that under natural sampling their mean over examples is 1.
std::vector<float> inverse_frequencies(const std::vector<int64_t>& examples) {
  double total = 0;
  int64_t seen = 0;
  for (const int64_t count : examples) {
    total += static_cast<double>(count);
    seen += count > 0;
  }
  std::vector<float> weights;
  for (const int64_t count : examples)
    weights.push_back(count > 0 ? static_cast<float>(total / (static_cast<double>(seen) * static_cast<double>(count)))
                                : 0.0f);
  return weights;
}

class FixedWeighting : public Weighting {
 public:
  FixedWeighting(std::vector<float> weights, bool by_class) : weights_(std::move(weights)), by_class_(by_class) {}
  at::Tensor weights_of(const std::vector<int32_t>& groups, const std::vector<int32_t>& classes) override {
    if (weights_.empty()) return Weighting::weights_of(groups, classes);
    std::vector<float> own;
    for (const int32_t index : by_class_ ? classes : groups) own.push_back(weights_[static_cast<size_t>(index)]);
    return at::tensor(own, at::kFloat);
  }
  at::Tensor combine(const at::Tensor& losses, const at::Tensor& weights) override {
    return weights_.empty() ? losses.mean() : (losses * weights.to(losses.scalar_type())).mean();
  }

 private:
  std::vector<float> weights_;
  bool by_class_;
};

/// q_g <- q_g exp(rate * L_g), normalised over all groups; loss sum q_g L_g, where a group that is not in the batch has
/// L_g = 0 (as the authors' code does).
class GroupDro : public Weighting {
 public:
  explicit GroupDro(const WeightingFacts& facts)
      : rate_(facts.dro_rate),
        q_(facts.group_examples.size(), 1.0 / static_cast<double>(facts.group_examples.size())) {}

  at::Tensor weights_of(const std::vector<int32_t>& groups, const std::vector<int32_t>& classes) override {
    groups_ = groups;
    return Weighting::weights_of(groups, classes);
  }
  bool reads_losses() const override { return true; }
  at::Tensor combine(const at::Tensor& losses, const at::Tensor& /*weights*/) override {
    const at::Tensor values = losses.detach().to(at::kCPU, at::kDouble).contiguous();
    const double* loss = values.data_ptr<double>();
    std::vector<double> sum(q_.size(), 0.0), count(q_.size(), 0.0);
    for (size_t i = 0; i < groups_.size(); ++i) {
      sum[static_cast<size_t>(groups_[i])] += loss[i];
      count[static_cast<size_t>(groups_[i])] += 1;
    }
    double total = 0;
    for (size_t g = 0; g < q_.size(); ++g) {
      if (count[g] > 0) q_[g] *= std::exp(rate_ * sum[g] / count[g]);
      total += q_[g];
    }
    for (double& q : q_) q /= total;
    std::vector<float> weights;
    for (const int32_t g : groups_)
      weights.push_back(static_cast<float>(q_[static_cast<size_t>(g)] / count[static_cast<size_t>(g)]));
    return (losses * at::tensor(weights, at::kFloat).to(losses.options())).sum();
  }
  std::vector<double> state() const override { return q_; }
  void restore(const std::vector<double>& state) override { q_ = state; }

 private:
  double rate_;
  std::vector<double> q_;
  std::vector<int32_t> groups_;  // of the batch
};

class ConditionalValueAtRisk : public Weighting {
 public:
  explicit ConditionalValueAtRisk(double share) : share_(share) {}
  at::Tensor combine(const at::Tensor& losses, const at::Tensor& /*weights*/) override {
    const auto worst = static_cast<int64_t>(std::ceil(share_ * static_cast<double>(losses.numel())));
    return std::get<0>(losses.topk(std::max<int64_t>(1, worst))).mean();
  }

 private:
  double share_;
};

}  // namespace

at::Tensor Weighting::weights_of(const std::vector<int32_t>& groups, const std::vector<int32_t>& /*classes*/) {
  return at::ones({static_cast<int64_t>(groups.size())}, at::kFloat);
}

const std::vector<WeightingRow>& weightings() {
  static const std::vector<WeightingRow> rows = {
      {.name = "none",
       .about = "the mean",
       .source = "",
       .make = [](const WeightingFacts&) -> std::unique_ptr<Weighting> {
         return std::make_unique<FixedWeighting>(std::vector<float>{}, false);
       }},
      {.name = "group",
       .about = "groups by their inverse frequency",
       .source = "arXiv 2509.07222 names it",
       .make = [](const WeightingFacts& facts) -> std::unique_ptr<Weighting> {
         return std::make_unique<FixedWeighting>(inverse_frequencies(facts.group_examples), false);
       }},
      {.name = "class",
       .about = "classes by their inverse frequency",
       .source = "arXiv 2509.07222 names it",
       .make = [](const WeightingFacts& facts) -> std::unique_ptr<Weighting> {
         if (facts.class_examples.empty())
           fail(ErrorKind::kInvalidArgument,
                "finetune: --weighting class needs labelled images; texts have groups: --weighting group");
         return std::make_unique<FixedWeighting>(inverse_frequencies(facts.class_examples), true);
       }},
      {.name = "group-dro",
       .about = "groups by an adversary that follows their losses; together with --sampling balanced",
       .source = "Group DRO (arXiv 1911.08731, algorithm 1), without its adjustment by group size",
       .make = [](const WeightingFacts& facts) -> std::unique_ptr<Weighting> {
         return std::make_unique<GroupDro>(facts);
       }},
      {.name = "cvar",
       .about = "only the worst examples of each batch",
       .source = "CVaR by mini-batches (arXiv 2010.05893, section 3)",
       .make = [](const WeightingFacts& facts) -> std::unique_ptr<Weighting> {
         return std::make_unique<ConditionalValueAtRisk>(facts.cvar_share);
       }},
  };
  return rows;
}

const WeightingRow& find_weighting(const std::string& name) {
  std::string known;
  for (const WeightingRow& row : weightings()) {
    if (row.name == name) return row;
    known += (known.empty() ? "" : ", ") + row.name;
  }
  fail(ErrorKind::kInvalidArgument, "finetune: \"{}\" is no weighting; there are {}", name, known);
}

WeightingFacts weighting_facts(const TrainingData& data, const FinetuneOptions& options) {
  WeightingFacts facts{.dro_rate = options.dro_rate, .cvar_share = options.cvar_share};
  facts.group_examples.resize(data.groups.size());
  for (const int32_t group : data.group) ++facts.group_examples[static_cast<size_t>(group)];
  for (const int32_t label : data.labels) {
    const auto at = static_cast<size_t>(label);
    if (facts.class_examples.size() <= at) facts.class_examples.resize(at + 1);
    ++facts.class_examples[at];
  }
  return facts;
}

}  // namespace vernier
