// golden_values_bench MODEL --golden golden.json --wiki FILE --mix FILE --calibration FILE [--schemes A,B] [--methods rtn,...]
// [--windows 64]: value searches as another implementation has them, on SmolLM2, made by our code and judged by our
// evaluation: KL beside the other one's, a line each. These are its rules, not ours (docs/values.md): grids between the
// least and the greatest value and 0 with float32 scales, GPTQ damped by the mean of the diagonal on the inputs of what is
// quantized so far, AWQ by the outputs of attention and MLP.
// --methods ours:auto: Vernier's own search beside the best of its rows on each text.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "base/fail.h"
#include "base/json.h"
#include "engine/device.h"
#include "golden.h"
#include "vernier/error.h"
#include "vernier/evaluate.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {

namespace {

constexpr TensorRole kQ = TensorRole::kAttnQ, kK = TensorRole::kAttnK, kV = TensorRole::kAttnV,
                     kO = TensorRole::kAttnOutput, kGate = TensorRole::kFfnGate, kUp = TensorRole::kFfnUp,
                     kDown = TensorRole::kFfnDown, kAttnNorm = TensorRole::kAttnNorm, kFfnNorm = TensorRole::kFfnNorm;
constexpr TensorRole kMatrices[] = {kQ, kK, kV, kO, kGate, kUp, kDown};

/// Grids of `group` columns, 0: of a row.
struct Rounding {
  int bits = 4;
  int64_t group = 0;
  double levels() const { return (1 << bits) - 1; }
};

struct Step {
  at::Tensor scale, zero;
};

Step step_of(const at::Tensor& w, const Rounding& how) {
  const at::Tensor low = w.amin(-1, true).clamp_max(0), high = w.amax(-1, true).clamp_min(0);
  at::Tensor scale = (high - low) / how.levels();
  scale = at::where(scale == 0, at::ones_like(scale), scale);
  return {scale, (-low / scale).round().clamp(0, how.levels())};
}

at::Tensor on_grid(const at::Tensor& w, const Step& step, const Rounding& how) {
  return (((w / step.scale).round() + step.zero).clamp(0, how.levels()) - step.zero) * step.scale;
}

at::Tensor grouped(const at::Tensor& w, const Rounding& how) {
  return w.view({w.size(0), -1, how.group > 0 ? how.group : w.size(1)});
}

at::Tensor nearest(const at::Tensor& w, const Rounding& how) {
  const at::Tensor parts = grouped(w, how);
  return on_grid(parts, step_of(parts, how), how).view_as(w);
}

/// Both ends drawn in together, to half at most, where E[x^2] (q - w)^2 is least.
at::Tensor searched(const at::Tensor& w, const Rounding& how, const at::Tensor& mean_square) {
  const at::Tensor parts = grouped(w, how), x2 = mean_square.view({1, -1, parts.size(2)});
  at::Tensor best, least;
  for (int i = 0; i < 40; ++i) {
    const double share = 1 - 0.5 * i / 39;
    Step step;
    const at::Tensor low = parts.amin(-1, true).clamp_max(0) * share, high = parts.amax(-1, true).clamp_min(0) * share;
    step.scale = (high - low) / how.levels();
    step.scale = at::where(step.scale == 0, at::ones_like(step.scale), step.scale);
    step.zero = (-low / step.scale).round().clamp(0, how.levels());
    const at::Tensor q = on_grid(parts, step, how), error = ((q - parts).square() * x2).sum(-1, true);
    best = best.defined() ? at::where(error < least, q, best) : q;
    least = least.defined() ? at::minimum(error, least) : error;
  }
  return best.view_as(w);
}

struct FeedbackOptions {
  bool act_order = false, static_groups = false;
};

/// GPTQ's program. @param h 2 E[x x'] [cols, cols]
at::Tensor fed_back(at::Tensor w, const at::Tensor& gram, const Rounding& how, const FeedbackOptions& options) {
  constexpr int64_t kBlock = 128;
  constexpr double kDamping = 0.01;
  const int64_t cols = w.size(1);
  w = w.clone();
  at::Tensor h = gram.to(at::kDouble).clone();
  const at::Tensor dead = h.diagonal() == 0;
  h.diagonal().masked_fill_(dead, 1);
  w.masked_fill_(dead.unsqueeze(0), 0);
  std::optional<Step> all;
  if (how.group == 0) all = step_of(w, how);
  if (how.group > 0 && options.static_groups) {
    all = step_of(grouped(w, how), how);
    all = Step{all->scale.squeeze(-1), all->zero.squeeze(-1)};
  }
  const at::Tensor order = options.act_order ? at::argsort(h.diagonal(), /*stable=*/true, 0, /*descending=*/true)
                                             : at::arange(cols, h.options().dtype(at::kLong));
  w = w.index_select(1, order).contiguous();
  h = h.index_select(0, order).index_select(1, order).contiguous();
  h.diagonal().add_(h.diagonal().mean() * kDamping);
  const at::Tensor u =
      at::linalg_cholesky(at::cholesky_inverse(at::linalg_cholesky(h))).t().to(at::kFloat).contiguous();
  at::Tensor q = at::empty_like(w);
  Step step;
  for (int64_t a = 0; a < cols; a += kBlock) {
    const int64_t b = std::min(a + kBlock, cols);
    at::Tensor part = w.narrow(1, a, b - a).clone(), errors = at::empty_like(part);
    for (int64_t c = 0; c < b - a; ++c) {
      if (how.group == 0) {
        step = *all;
      } else if (options.static_groups) {
        const int64_t group = order[a + c].item<int64_t>() / how.group;
        step = {all->scale.narrow(1, group, 1), all->zero.narrow(1, group, 1)};
      } else if ((a + c) % how.group == 0) {
        step = step_of(part.narrow(1, c, std::min(how.group, b - a - c)), how);
      }
      const at::Tensor x = part.narrow(1, c, 1), value = on_grid(x, step, how);
      const at::Tensor e = (x - value) / u[a + c][a + c].item<float>();
      q.narrow(1, a + c, 1).copy_(value);
      errors.narrow(1, c, 1).copy_(e);
      part.narrow(1, c, b - a - c).sub_(e * u.narrow(0, a + c, 1).narrow(1, a + c, b - a - c));
    }
    if (b < cols) w.narrow(1, b, cols - b).sub_(at::mm(errors, u.narrow(0, a, b - a).narrow(1, b, cols - b)));
  }
  return q.index_select(1, at::argsort(order)).contiguous();
}

/// A Llama's layers in float32 on windows [windows, tokens, hidden], with weights that may be others.
class Layers {
 public:
  Layers(const Model& model, int64_t tokens, const at::Device& device)
      : model_(model),
        device_(device),
        attention_(model.config().layer(0).attention),
        epsilon_(model.config().layer(0).norm.epsilon) {
    const int64_t half = attention_.head_dim / 2;
    const at::Tensor frequency =
        at::pow(model.config().rope.theta, at::arange(half, at::kFloat) * (-2.0 / static_cast<double>(2 * half)));
    const at::Tensor angle = at::outer(at::arange(tokens, at::kFloat), frequency);
    cos_ = at::cat({angle.cos(), angle.cos()}, 1).to(device);
    sin_ = at::cat({angle.sin(), angle.sin()}, 1).to(device);
    mask_ = at::full({tokens, tokens}, -INFINITY).triu(1).to(device);
    for (int layer = 0; layer < model.config().depth(); ++layer)
      for (const TensorRole role : {kQ, kK, kV, kO, kGate, kUp, kDown, kAttnNorm, kFfnNorm})
        weights_[{role, layer}] = model.weight({role, layer}).to(device, at::kFloat).contiguous();
  }

  at::Tensor& weight(TensorRole role, int layer) { return weights_.at({role, layer}); }
  at::Tensor embed(const at::Tensor& ids) const {
    return at::embedding(model_.weight({TensorRole::kTokenEmbedding, -1}).to(device_, at::kFloat), ids);
  }
  at::Tensor norm(TensorRole role, int layer, const at::Tensor& x) {
    return x * at::rsqrt(x.square().mean(-1, true) + epsilon_) * weight(role, layer);
  }
  at::Tensor linear(TensorRole role, int layer, const at::Tensor& x) { return at::linear(x, weight(role, layer)); }
  /// A few windows at a time: scores of all heads are [tokens, tokens].
  at::Tensor attend(int layer, const at::Tensor& h) {
    std::vector<at::Tensor> all;
    for (const at::Tensor& some : h.split(4)) all.push_back(attend_some(layer, some));
    return at::cat(all);
  }
  at::Tensor middle(int layer, const at::Tensor& h) {
    return at::silu(linear(kGate, layer, h)) * linear(kUp, layer, h);
  }
  /// The model with these weights and embeddings as they are.
  Model with_weights() const {
    Model changed = model_;
    for (const auto& [id, weight] : weights_) changed.set_weight(id, weight.to(at::kCPU));
    return changed;
  }

 private:
  at::Tensor rotated(const at::Tensor& x) const {
    const int64_t half = attention_.head_dim / 2;
    return x * cos_ + at::cat({-x.narrow(-1, half, half), x.narrow(-1, 0, half)}, -1) * sin_;
  }
  at::Tensor attend_some(int layer, const at::Tensor& h) {
    const int64_t windows = h.size(0), tokens = h.size(1), dim = attention_.head_dim;
    const auto heads = [&](TensorRole role, int64_t count) {
      return linear(role, layer, h).view({windows, tokens, count, dim}).transpose(1, 2);
    };
    const int64_t shared = attention_.queries_per_kv();
    const at::Tensor q = rotated(heads(kQ, attention_.heads)),
                     k = rotated(heads(kK, attention_.kv_heads)).repeat_interleave(shared, 1),
                     v = heads(kV, attention_.kv_heads).repeat_interleave(shared, 1);
    const at::Tensor scores = at::matmul(q, k.transpose(-1, -2)) / std::sqrt(static_cast<double>(dim)) + mask_;
    return at::matmul(scores.softmax(-1), v).transpose(1, 2).reshape({windows, tokens, -1});
  }

  const Model& model_;
  const at::Device device_;
  const AttentionConfig& attention_;
  const double epsilon_;
  at::Tensor cos_, sin_, mask_;
  std::map<TensorId, at::Tensor> weights_;
};

at::Tensor gram_of(const at::Tensor& x) {
  const at::Tensor rows = x.reshape({-1, x.size(-1)});
  return at::mm(rows.t(), rows) * (2.0 / static_cast<double>(rows.size(0)));
}

/// Layer by layer and within it, on activations of what is quantized so far.
void feed_back_all(Layers& net, const at::Tensor& ids, int depth, const Rounding& how, const FeedbackOptions& options) {
  at::Tensor x = net.embed(ids);
  const auto quantize = [&](int layer, std::initializer_list<TensorRole> roles, const at::Tensor& inputs) {
    const at::Tensor gram = gram_of(inputs);
    for (const TensorRole role : roles) net.weight(role, layer) = fed_back(net.weight(role, layer), gram, how, options);
  };
  for (int layer = 0; layer < depth; ++layer) {
    at::Tensor h = net.norm(kAttnNorm, layer, x);
    quantize(layer, {kQ, kK, kV}, h);
    const at::Tensor attended = net.attend(layer, h);
    quantize(layer, {kO}, attended);
    x = x + net.linear(kO, layer, attended);
    h = net.norm(kFfnNorm, layer, x);
    quantize(layer, {kGate, kUp}, h);
    const at::Tensor middle = net.middle(layer, h);
    quantize(layer, {kDown}, middle);
    x = x + net.linear(kDown, layer, middle);
  }
}

/// llm-awq: folds what the search of exponents finds, on activations of full precision; clips, if asked for.
void fold_all(Layers& net, const at::Tensor& ids, int depth, const Rounding& how, bool clip) {
  at::Tensor x = net.embed(ids);
  for (int layer = 0; layer < depth; ++layer) {
    std::map<TensorRole, at::Tensor> original;
    for (const TensorRole role : kMatrices) original[role] = net.weight(role, layer);
    const at::Tensor h = net.norm(kAttnNorm, layer, x), attended = net.attend(layer, h);
    const at::Tensor between = x + net.linear(kO, layer, attended);
    const at::Tensor h2 = net.norm(kFfnNorm, layer, between), middle = net.middle(layer, h2);
    x = between + net.linear(kDown, layer, middle);
    const auto search = [&](std::initializer_list<TensorRole> roles, const at::Tensor& inputs,
                            const std::function<at::Tensor()>& block) {
      const at::Tensor exact = block(), size = inputs.abs().reshape({-1, inputs.size(-1)}).mean(0);
      at::Tensor best;
      double least = INFINITY;
      for (int i = 0; i < 20; ++i) {
        at::Tensor scales = size.pow(i / 20.0).clamp_min(1e-4);
        scales = scales / (scales.max() * scales.min()).sqrt();
        for (const TensorRole role : roles) net.weight(role, layer) = nearest(original[role] * scales, how) / scales;
        const double error = (block() - exact).square().mean().item<double>();
        if (error < least) least = error, best = scales;
      }
      for (const TensorRole role : roles) net.weight(role, layer) = original[role];
      return best;
    };
    const at::Tensor s1 = search({kQ, kK, kV}, h, [&] { return net.linear(kO, layer, net.attend(layer, h)); });
    const at::Tensor s2 = search({kGate, kUp}, h2, [&] { return net.linear(kDown, layer, net.middle(layer, h2)); });
    const at::Tensor s3 = search({kDown}, middle, [&] { return net.linear(kDown, layer, middle); });
    net.weight(kAttnNorm, layer) = net.weight(kAttnNorm, layer) / s1;
    net.weight(kFfnNorm, layer) = net.weight(kFfnNorm, layer) / s2;
    for (const TensorRole role : {kQ, kK, kV}) net.weight(role, layer) = original[role] * s1;
    for (const TensorRole role : {kGate, kUp}) net.weight(role, layer) = original[role] * s2;
    net.weight(kUp, layer) = net.weight(kUp, layer) / s3.unsqueeze(1);
    net.weight(kDown, layer) = original[kDown] * s3;
    if (!clip) continue;
    const std::pair<TensorRole, at::Tensor> clipped[] = {
        {kV, h / s1}, {kO, attended}, {kGate, h2 / s2}, {kUp, h2 / s2}, {kDown, middle / s3}};
    for (const auto& [role, all_inputs] : clipped) {  // all but queries and keys
      const at::Tensor w = grouped(net.weight(role, layer).contiguous(), how);
      at::Tensor inputs = all_inputs.reshape({-1, all_inputs.size(-1)});
      inputs = inputs.slice(0, 0, inputs.size(0), std::max<int64_t>(1, inputs.size(0) / 512));
      inputs = inputs.view({-1, w.size(1), w.size(2)}).permute({1, 2, 0}).contiguous();  // [groups, group, tokens]
      const auto outputs = [&](const at::Tensor& values) {                               // [groups, rows, tokens]
        return at::bmm(values.permute({1, 0, 2}).contiguous(), inputs);
      };
      const at::Tensor largest = w.abs().amax(-1, true), exact = outputs(w);
      at::Tensor best, least;
      for (int j = 0; j < 10; ++j) {
        const at::Tensor bound = largest * (1 - j / 20.0), values = at::minimum(at::maximum(w, -bound), bound);
        const at::Tensor error = (outputs(on_grid(values, step_of(values, how), how)) - exact)
                                     .square()
                                     .mean(-1)
                                     .t()
                                     .unsqueeze(-1)
                                     .contiguous();
        best = best.defined() ? at::where(error < least, bound, best) : bound;
        least = least.defined() ? at::minimum(error, least) : error;
      }
      net.weight(role, layer) = at::minimum(at::maximum(w, -best), best).reshape(net.weight(role, layer).sizes());
    }
  }
}

const std::string kOwn = "ours:";

struct Arguments {
  std::string model, golden, wiki, mix, calibration, device = "cpu";
  std::vector<std::string> schemes = {"A", "B"};
  std::vector<std::string> methods = {
      "rtn", "rtn_x2_search", "gptq",     "gptq_actorder",    "gptq_actorder_static_groups",
      "awq", "awq_clip",      "awq_gptq", "awq_gptq_actorder"};
  int64_t windows = 64, calibration_windows = 64;
  int threads = 0;
};

void round_all(Layers& net, int depth, const Rounding& how) {
  for (int layer = 0; layer < depth; ++layer)
    for (const TensorRole role : kMatrices)
      net.weight(role, layer) = nearest(net.weight(role, layer).contiguous(), how);
}

void search_all(Layers& net, const at::Tensor& ids, int depth, const Rounding& how) {
  at::Tensor x = net.embed(ids);
  const auto mean_square = [](const at::Tensor& inputs) {
    return inputs.square().reshape({-1, inputs.size(-1)}).mean(0);
  };
  for (int layer = 0; layer < depth; ++layer) {
    std::map<TensorRole, at::Tensor> found;
    const auto search = [&](std::initializer_list<TensorRole> roles, const at::Tensor& inputs) {
      for (const TensorRole role : roles) found[role] = searched(net.weight(role, layer), how, mean_square(inputs));
    };
    at::Tensor h = net.norm(kAttnNorm, layer, x);
    search({kQ, kK, kV}, h);
    const at::Tensor attended = net.attend(layer, h);
    search({kO}, attended);
    x = x + net.linear(kO, layer, attended);
    h = net.norm(kFfnNorm, layer, x);
    search({kGate, kUp}, h);
    const at::Tensor middle = net.middle(layer, h);
    search({kDown}, middle);
    x = x + net.linear(kDown, layer, middle);
    for (const auto& [role, values] : found) net.weight(role, layer) = values;  // inputs are those of full precision
  }
}

/// The lowest figure of all rows of a table on that text. A row that only folds rounds nothing, and is none of them.
double best_of(const Json& rows, const char* text) {
  constexpr double kNotRounded = 1e-6;
  double best = INFINITY;
  for (const Json& row : rows)
    if (row.is_object() && row.contains(text))
      if (const double kl = row.at(text).at("kl").get<double>(); kl > kNotRounded) best = std::min(best, kl);
  return best;
}

/// One of our own searches from the same windows, matrices outside of the layers kept.
Model searched_by(const std::string& method, const std::string& scheme, const Model& model,
                  const EvaluationData& calibration, const ComputeOptions& compute) {
  Plan plan = plan_uniform(model, scheme == "A" ? "int4:channel:asym" : "int3:g64:asym");
  plan.method = method;
  for (PlanEntry& entry : plan.entries)
    if (entry.layer < 0) entry.scheme = "f32";
  return quantize(model, calibrate(model, calibration, compute), plan, resolve_threads(compute)).in_memory(nullptr);
}

void run(const Arguments& a) {
  const c10::NoGradGuard no_grad;
  const ComputeOptions compute{.threads = a.threads, .device = a.device};
  configure_process(resolve_threads(compute));
  const at::Device device = device_named(a.device);
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const auto windows = [&](const std::string& path, int64_t count) {
    return text_windows(tokenizer, path, golden_text(path), {.context = 512, .max_windows = count});
  };
  const EvaluationData calibration = windows(a.calibration, a.calibration_windows);
  std::vector<at::Tensor> rows;
  for (const TokenWindow& window : calibration.windows)
    rows.push_back(at::tensor(std::vector<int64_t>(window.tokens.begin(), window.tokens.end()), at::kLong));
  const at::Tensor ids = at::stack(rows).to(device);
  const std::pair<const char*, EvaluationData> texts[] = {{"wiki", windows(a.wiki, a.windows)},
                                                          {"mix", windows(a.mix, a.windows)}};
  const Json golden = read_json(a.golden).at("5");
  const int depth = model.config().depth();
  for (const std::string& scheme : a.schemes) {
    const Rounding how = scheme == "A" ? Rounding{4, 0} : Rounding{3, 64};
    for (const std::string& method : a.methods) {
      const Json& known = golden.at(scheme);
      const bool is_own = method.starts_with(kOwn);
      if (!is_own && !known.contains(method)) continue;  // a row has no groups to be static
      Layers net(model, ids.size(1), device);
      if (method == "rtn") round_all(net, depth, how);
      if (method == "rtn_x2_search") search_all(net, ids, depth, how);
      if (method.starts_with("awq")) {
        fold_all(net, ids, depth, how, method == "awq_clip");
        if (!method.ends_with("gptq") && !method.ends_with("actorder")) round_all(net, depth, how);
      }
      if (method.find("gptq") != std::string::npos)
        feed_back_all(net, ids, depth, how,
                      {.act_order = method.find("actorder") != std::string::npos,
                       .static_groups = method.ends_with("static_groups")});
      const Model made =
          is_own ? searched_by(method.substr(kOwn.size()), scheme, model, calibration, {.threads = a.threads})
                 : net.with_weights();
      std::string line = fmt::format("{} {:<28}", scheme, method);
      for (const auto& [name, data] : texts) {
        const double ours = evaluate({&made}, &model, data, {compute})[0].all.kl().mean,
                     theirs = is_own ? best_of(known, name) : known.at(method).at(name).at("kl").get<double>();
        line += fmt::format("  {} {:.4f} against {}{:.4f}: {:+.1f}%", name, ours, is_own ? "their best " : "", theirs,
                            100 * (ours / theirs - 1));
      }
      fmt::print("{}\n", line);
      std::fflush(stdout);
    }
  }
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("Value searches by another implementation's rules, against its figures");
  app.add_option("MODEL", a.model)->required();
  app.add_option("--golden", a.golden)->required();
  app.add_option("--wiki", a.wiki)->required();
  app.add_option("--mix", a.mix)->required();
  app.add_option("--calibration", a.calibration)->required();
  app.add_option("--schemes", a.schemes)->delimiter(',');
  app.add_option("--methods", a.methods)->delimiter(',');
  app.add_option("--windows", a.windows);
  app.add_option("--calibration-windows", a.calibration_windows);
  app.add_option("--device", a.device, "cpu, or cuda: 30 layers, 20 exponents and 10 bounds of awq_clip take long");
  app.add_option("--threads", a.threads);
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "golden_values_bench: {}\n", e.what());
    return 1;
  }
}
