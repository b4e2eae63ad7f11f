// The screen of a model that sees: labels are drawn from its classes, an image each. Of a model of images and texts their
// logits are those of the classes that its prompts make, so that both towers have a part in every label.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <memory>

#include "base/counter_random.h"
#include "base/fail.h"
#include "base/shared_progress.h"
#include "engine/class_vectors.h"
#include "engine/require_finite.h"
#include "engine/vision_sweep.h"
#include "ops/parallel.h"
#include "screen/screen_frame.h"
#include "screen/stack_screen.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

void check_vision_screen(const Model& model, const AnswerData& data, const ScreenOptions& options) {
  check_answer_data(model, data, "screen");
  if (options.limit || options.channels || options.hessian_probes > 0)
    fail(ErrorKind::kUnsupported,
         "screen: {} ({}) sees images: the limit, channels and Hessian probes are of language models; leave them out",
         model.source().name, model.config().family);
  if (options.labels == ScreenLabels::kText && std::count(data.labels.begin(), data.labels.end(), -1) > 0)
    fail(ErrorKind::kInvalidArgument, "screen: {}: an image without a label; draw labels from the model",
         data.inputs.name);
}

/// The components of a screen by stack, and where each of them went.
struct ByStack {
  std::map<Stack, std::vector<Component>> components;  ///< named within their stack
  std::vector<std::pair<Stack, size_t>> places;        ///< by place in the screen
};

ByStack by_stack(const ModelConfig& config, const std::vector<Component>& components) {
  ByStack split;
  for (const ModelConfig& stack : config.stacks) split.components[stack.stack];  // labels need all of them
  if (config.stacks.empty()) split.components[Stack::kOnly];
  for (Component component : components) {
    std::vector<Component>& own = split.components[component.stack];
    split.places.emplace_back(component.stack, own.size());
    component.stack = Stack::kOnly;
    own.push_back(component);
  }
  return split;
}

/// The least memory of every stack; all keep their streams until the last one is through.
std::map<Stack, int64_t> least_by_stack(const ModelConfig& config, const AnswerData& data,
                                        const ScreenOptions& options) {
  std::map<Stack, int64_t> least;
  if (config.stacks.empty()) least[Stack::kOnly] = least_memory(StackScreen::size_of(config, data), options);
  for (const ModelConfig& stack : config.stacks)
    least[stack.stack] = least_memory(StackScreen::size_of(stack, data), options);
  return least;
}

/// A stack's part of a bound, as it needs more or less.
ScreenOptions options_of(Stack stack, const std::map<Stack, int64_t>& least, const ScreenOptions& options) {
  int64_t all = 0;
  for (const auto& [each, bytes] : least) all += bytes;
  const double share = static_cast<double>(least.at(stack)) / static_cast<double>(all);
  const auto part = [&](int64_t bytes) { return static_cast<int64_t>(static_cast<double>(bytes) * share); };
  ScreenOptions own = options;
  if (options.memory_bytes > 0)
    own.memory_bytes = options.memory_bytes < all ? std::max<int64_t>(part(options.memory_bytes), 1)
                                                  : least.at(stack) + part(options.memory_bytes - all);
  return own;
}

/// Of -log p of each image's label.
struct LabelGradients {
  std::vector<double> nll;
  std::vector<at::Tensor> by_images, by_prompts;  ///< [1, width] and [prompts, width], by image
};

int64_t drawn_label(const at::Tensor& log_p, double uniform) {
  const at::Tensor cumulative = log_p.detach().exp().cumsum(0);
  return std::min((cumulative <= uniform * cumulative[-1]).sum().item<int64_t>(), cumulative.size(0) - 1);
}

/// @param units of the prompts; undefined for a classifier, whose images' answers are its logits
LabelGradients label_gradients(const Model& model, const AnswerData& data, const at::Tensor& images,
                               const at::Tensor& units, const ScreenOptions& options) {
  const auto count = static_cast<size_t>(images.size(0));
  LabelGradients found{std::vector<double>(count), std::vector<at::Tensor>(count), {}};
  if (units.defined()) found.by_prompts.resize(count);
  parallel_for(images.size(0), resolve_threads(options.compute), [&](int64_t image, int) {
    const c10::AutoGradMode with_gradients(true);
    const auto i = static_cast<size_t>(image);
    std::vector<at::Tensor> leaves{images.narrow(0, image, 1).clone().requires_grad_(true)};
    at::Tensor logits = leaves[0];
    if (units.defined()) {
      leaves.push_back(units.clone().requires_grad_(true));
      const at::Tensor vectors = class_vectors_of(leaves[1], data.classes, model.weight({TensorRole::kLogitScale}));
      logits = at::matmul(leaves[0], vectors.t());
    }
    const at::Tensor log_p = logits[0].to(at::kDouble).log_softmax(-1);
    const int64_t label =
        options.labels == ScreenLabels::kText ? data.labels[i] : drawn_label(log_p, uniform_at(options.seed, i, 0));
    const at::Tensor loss = -log_p[label];
    found.nll[i] = loss.item<double>();
    const std::vector<at::Tensor> gradients = torch::autograd::grad({loss}, leaves);
    found.by_images[i] = gradients[0];
    if (units.defined()) found.by_prompts[i] = gradients[1];
  });
  return found;
}

}  // namespace

int64_t least_screen_memory(const Model& model, const AnswerData& data, const ScreenOptions& options) {
  int64_t sum = 0;
  for (const auto& [stack, bytes] : least_by_stack(model.config(), data, options)) sum += bytes;
  return sum;
}

Screen screen(const Model& model, const Calibration& calibration, const AnswerData& data, const ScreenOptions& options,
              ProgressSink* progress) {
  check_screen_options(options);
  check_vision_screen(model, data, options);
  check_calibration(calibration, model);
  require_finite(model);
  const std::vector<Scheme> schemes = distinct_schemes(options.schemes);
  Screen s = begin_screen(model, calibration, schemes, options);
  const ByStack split = by_stack(model.config(), s.components);

  const std::map<Stack, int64_t> least = least_by_stack(model.config(), data, options);
  int64_t layers = 0;
  for (const auto& [stack, components] : split.components) layers += model.config().find_stack(stack)->depth();
  if (progress != nullptr) progress->begin("screen", 2 * layers * data.inputs.images, "layer images");
  SharedProgress shared(progress);
  const LayerTick tick = [&] { shared.add(1); };
  std::map<Stack, std::unique_ptr<StackScreen>> stacks;
  for (const auto& [stack, components] : split.components)
    stacks[stack] = std::make_unique<StackScreen>(model, stack, calibration, data, schemes, components,
                                                  options_of(stack, least, options), tick, progress);
  const bool reads = !model.config().stacks.empty();
  const LabelGradients labels = label_gradients(model, data, stacks.at(reads ? Stack::kImage : Stack::kOnly)->answers(),
                                                reads ? stacks.at(Stack::kText)->answers() : at::Tensor(), options);
  for (auto& [stack, own] : stacks) {
    own->differentiate(stack == Stack::kText ? labels.by_prompts : labels.by_images);
    const std::vector<ScreenedMatrix> matrices = own->matrices();
    s.matrices.insert(s.matrices.end(), matrices.begin(), matrices.end());
  }
  if (progress != nullptr) progress->end();

  std::sort(s.matrices.begin(), s.matrices.end(),
            [](const ScreenedMatrix& a, const ScreenedMatrix& b) { return comes_before(a.tensor, b.tensor); });
  const ScreenedSums sums = [&](size_t component, size_t scheme, size_t domain) {
    const auto& [stack, place] = split.places[component];
    return stacks.at(stack)->sums().of(place, scheme, domain);
  };
  add_domain(s, {"images", data.inputs.name, data.inputs.hash, data.inputs.images, data.inputs.images, {}, {}},
             stacks.begin()->second->sums().windows(), labels.nll, sums);
  fill_values(s, sums, options);
  return s;
}

}  // namespace vernier
