// golden_bench MODEL TEXT golden.json [components]: this implementation against another one's figures on SmolLM2. Perplexity of the
// first 64 windows of TEXT; in both of its schemes the isolated damage of components that span the range, and that of
// everything at once, on the first 16. A line each, with the largest relative difference.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/fail.h"
#include "engine/engine.h"
#include "golden.h"
#include "vernier/diagnose.h"
#include "vernier/evaluate.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, text, golden;
  size_t components = 30;
};

double relative(double ours, double theirs) { return std::abs(ours / theirs - 1); }

/// From the largest damage to the smallest, evenly by rank.
std::vector<ComponentDamage> spanning(std::vector<ComponentDamage> damages, size_t count) {
  std::sort(damages.begin(), damages.end(),
            [](const ComponentDamage& a, const ComponentDamage& b) { return a.kl.mean > b.kl.mean; });
  if (damages.size() <= count) return damages;
  std::vector<ComponentDamage> some;
  for (size_t i = 0; i < count; ++i) some.push_back(damages[i * (damages.size() - 1) / (count - 1)]);
  return some;
}

/// Round to nearest on grids from the least to the greatest value and 0, one per `group` columns, as the other
/// implementation has them: scales in float32, where ours are stored in 16 bits.
at::Tensor rounded(const at::Tensor& weight, int bits, int64_t group) {
  const double levels = (1 << bits) - 1;
  const at::Tensor w = weight.to(at::kFloat).reshape({weight.size(0), -1, group > 0 ? group : weight.size(1)});
  const at::Tensor low = w.amin(-1, true).clamp_max(0), high = w.amax(-1, true).clamp_min(0);
  // On a GPU, where its figures come from, torch divides by a number by multiplying with its reciprocal: a last bit of a
  // scale, and the way that a weight half way between two levels goes.
  const float part = 1.0f / static_cast<float>(levels);
  const at::Tensor scale = ((high - low) * part).clamp_min(1e-12), zero = (-low / scale).round();
  return (((w / scale).round() + zero).clamp(0, levels) - zero).mul(scale).reshape(weight.sizes());
}

struct GoldenScheme {
  std::string part, name;
  int bits = 4;
  int64_t group = 0;  ///< 0: a row
};

/// Mean KL of each component, in nats per token.
std::map<Component, double> isolated(const Model& model, const EvaluationData& data,
                                     const std::vector<ComponentDamage>& wanted, const WeightSource& changed) {
  const std::unique_ptr<Sweep> sweep = make_engine({})->sweep(model, data, ComputeType::kFloat32);
  std::map<Component, double> kl;
  const auto keep = [&](const Component& c, const std::vector<DamageSums>& windows) {
    double sum = 0, tokens = 0;
    for (const DamageSums& w : windows) sum += w.kl, tokens += w.tokens;
    kl[c] = sum / tokens;
  };
  for (int layer = 0; layer < model.config().depth(); ++layer) {
    std::vector<Perturbation> perturbations;
    for (const ComponentDamage& damage : wanted)
      if (damage.component.layer == layer) perturbations.push_back({damage.component, changed});
    const auto sums = sweep->layer(Stack::kOnly, layer, perturbations, [] {});
    for (size_t i = 0; i < sums.size(); ++i) keep(perturbations[i].component, sums[i]);
  }
  for (const ComponentDamage& damage : wanted)
    if (damage.component.layer < 0) keep(damage.component, sweep->outside({damage.component, changed}));
  return kl;
}

void compare_scheme(const Model& model, const EvaluationData& data, const Json& golden, const GoldenScheme& scheme,
                    size_t count) {
  const std::vector<Component> all =
      components_of(model.config(), {ComponentKind::kEmbed, ComponentKind::kHead, ComponentKind::kKvHead,
                                     ComponentKind::kFfn, ComponentKind::kTensor});
  const std::vector<ComponentDamage> theirs = spanning(golden_damages(golden, scheme.part, all), count);
  std::map<TensorId, at::Tensor> values;  // a component's matrices are asked for several times
  const WeightSource changed = [&](const TensorId& id) {
    at::Tensor& value = values[id];
    if (!value.defined()) value = rounded(model.weight(id), scheme.bits, scheme.group);
    return value;
  };
  const std::map<Component, double> ours = isolated(model, data, theirs, changed);
  // Far apart and next to each other: a weight half way between two levels may be rounded either way.
  std::vector<std::pair<double, Component>> apart;
  for (const ComponentDamage& damage : theirs)
    apart.emplace_back(relative(ours.at(damage.component), damage.kl.mean), damage.component);
  std::sort(apart.begin(), apart.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  const auto beyond = std::count_if(apart.begin(), apart.end(), [](const auto& one) { return one.first > 0.01; });
  Model whole(model.config(), model.source());
  for (const TensorId& id : model.tensors()) whole.set_weight(id, is_matrix(id.role) ? changed(id) : model.weight(id));
  const double joint = evaluate({&whole}, &model, data)[0].all.kl().mean;
  const double known = golden.at("3").at(scheme.part).at("joint").at("kl").get<double>();
  fmt::print(
      "{}: {} components from {:.6f} to {:.6f} nats: {} more than 1% apart, {} {:.3f}%, {} {:.3f}%, {} {:.3f}%; "
      "everything at once {:.6f} against {:.6f}, {:.3f}%\n",
      scheme.name, theirs.size(), theirs.front().kl.mean, theirs.back().kl.mean, beyond, name_of(apart[0].second),
      100 * apart[0].first, name_of(apart[1].second), 100 * apart[1].first, name_of(apart[2].second),
      100 * apart[2].first, joint, known, 100 * relative(joint, known));
  std::fflush(stdout);
}

void run(const Arguments& a) {
  configure_process(resolve_threads({}));
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const Json golden = read_json(a.golden);
  const std::string text = golden_text(a.text);
  const auto windows = [&](int64_t count) {
    return text_windows(tokenizer, a.text, text, {.context = 512, .max_windows = count});
  };
  const double perplexity = evaluate({&model}, nullptr, windows(64))[0].all.perplexity().mean;
  const double known = std::exp(golden.at("1").at("wiki").at("nll").get<double>());
  const double printed = golden.at("1").at("wiki").at("ppl").get<double>();
  fmt::print("perplexity {:.5f} against {:.3f} ({:.5f} by its rounded nll): {:.4f}% apart\n", perplexity, printed,
             known, 100 * relative(perplexity, printed));
  std::fflush(stdout);
  for (const GoldenScheme& scheme :
       {GoldenScheme{"A", "int4:channel:asym", 4, 0}, GoldenScheme{"B", "int3:g64:asym", 3, 64}})
    compare_scheme(model, windows(16), golden, scheme, a.components);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "golden_bench MODEL TEXT golden.json [components]\n");
    return 2;
  }
  try {
    vernier::run({argv[1], argv[2], argv[3], argc > 4 ? static_cast<size_t>(std::max(3, std::atoi(argv[4]))) : 30});
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "golden_bench: {}\n", e.what());
    return 1;
  }
}
