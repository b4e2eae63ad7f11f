// golden_bench MODEL TEXT golden.json [components]: this implementation against another one's figures on SmolLM2. Perplexity of the
// first 64 windows of TEXT; in both of its schemes the isolated damage of components that span the range, and that of
// everything at once, on the first 16. A line each, with the largest relative difference.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/fail.h"
#include "diagnose/measure_until.h"
#include "golden.h"
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

void compare_scheme(const Model& model, const EvaluationData& data, const Json& golden, const std::string& part,
                    const std::string& scheme, size_t count) {
  DiagnoseOptions options;
  options.scheme = scheme;
  const Calibration none;  // rounding to nearest asks for no importance
  const QuantizedWeights quantized(model, none, options, resolve_threads({}));
  const std::vector<Component> all =
      components_of(model.config(), {ComponentKind::kEmbed, ComponentKind::kHead, ComponentKind::kKvHead,
                                     ComponentKind::kFfn, ComponentKind::kTensor});
  const std::vector<ComponentDamage> theirs = spanning(golden_damages(golden, part, all), count);
  std::vector<Component> components;
  for (const ComponentDamage& damage : theirs) components.push_back(damage.component);
  const auto windows = static_cast<int64_t>(data.windows.size());
  const SequentialResult ours = measure_until(model, quantized, data, components, {.first_windows = windows},
                                              [](const Component&, const ConfidenceInterval&) { return true; });
  double largest = 0;
  size_t worst = 0;
  for (size_t i = 0; i < theirs.size(); ++i)
    if (const double apart = relative(ours.components[i].damage.kl.mean, theirs[i].kl.mean); apart > largest)
      largest = apart, worst = i;
  Model changed(model.config(), model.source());
  for (const TensorId& id : model.tensors())
    changed.set_weight(id, is_matrix(id.role) ? quantized.make(id) : model.weight(id));
  const double joint = evaluate({&changed}, &model, data)[0].all.kl().mean;
  const double known = golden.at("3").at(part).at("joint").at("kl").get<double>();
  fmt::print(
      "{}: {} components from {:.6f} to {:.6f} nats: at most {:.3f}% apart ({}); everything at once {:.6f} "
      "against {:.6f}, {:.3f}%; control {}\n",
      scheme, theirs.size(), theirs.front().kl.mean, theirs.back().kl.mean, 100 * largest,
      name_of(theirs[worst].component), joint, known, 100 * relative(joint, known), ours.control_kl);
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
  for (const auto& [part, scheme] : {std::pair{"A", "int4:channel:asym"}, std::pair{"B", "int3:g64:asym"}})
    compare_scheme(model, windows(16), golden, part, scheme, a.components);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "golden_bench MODEL TEXT golden.json [components]\n");
    return 2;
  }
  try {
    vernier::run({argv[1], argv[2], argv[3], argc > 4 ? static_cast<size_t>(std::max(2, std::atoi(argv[4]))) : 30});
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "golden_bench: {}\n", e.what());
    return 1;
  }
}
