#include "vernier/screen.h"
#include "base/counter_random.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "base/statistics.h"
#include "screen/labels.h"
#include "screen/token_rows.h"
#include "support/cancelling_sink.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/warnings.h"
#include "vernier/quantize_tensor.h"

namespace vernier {
namespace {

constexpr uint64_t kSeed = 7;

ScreenText text_of(int64_t windows, int64_t length, bool all = true) {
  ScreenText text{"own", made_up_windows(windows, length, 320)};
  if (all)
    for (TokenWindow& window : text.data.windows) window.first_row = 0;
  return text;
}

/// Every matrix and the sum over rows of its inputs and gradients are had from one differentiable forward of the whole
/// model in float64: the definitions, with nothing of the screen's own but the draw of a uniform number per row.
struct BruteForce {
  explicit BruteForce(const Model& model) : wide(model.config(), model.source()) {
    for (const TensorId& id : model.tensors())
      wide.set_weight(id, model.weight(id).detach().to(at::kDouble, false, true).set_requires_grad(is_matrix(id.role)));
  }

  /// Gradient of the summed -log p of a window's labels.
  std::map<TensorId, at::Tensor> gradients(const TokenWindow& window, uint64_t index, ScreenLabels labels) {
    const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end() - 1);
    const at::Tensor log_p =
        forward_logits(wide, at::tensor(ids, at::kLong).unsqueeze(0), window.first_row)[0].log_softmax(-1);
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (int64_t r = 0; r < log_p.size(0); ++r) {
      int64_t label = window.tokens[static_cast<size_t>(window.first_row + r + 1)];
      if (labels == ScreenLabels::kSampled) {
        const double u = uniform_at(kSeed, index, static_cast<uint64_t>(r));
        const at::Tensor cdf = log_p[r].detach().exp().cumsum(0);
        label = (cdf <= u * cdf[-1]).sum().item<int64_t>();
      }
      loss = loss - log_p[r][label];
      nll += -log_p[r][label].item<double>();
    }
    std::vector<at::Tensor> leaves;
    for (const TensorId& id : wide.matrices()) leaves.push_back(wide.weight(id));
    const auto found = torch::autograd::grad({loss}, leaves, {}, false, false, /*allow_unused=*/true);
    std::map<TensorId, at::Tensor> all;
    size_t i = 0;
    for (const TensorId& id : wide.matrices()) {
      all[id] = found[i].defined() ? found[i] : at::zeros_like(leaves[i]);
      ++i;
    }
    return all;
  }

  Model wide;
  double nll = 0;
};

at::Tensor slice_of(const at::Tensor& t, const WeightSlice& s) {
  return t.narrow(0, s.first_row, s.rows).narrow(1, s.first_col, s.cols);
}

struct Case {
  std::string model;
  ScreenLabels labels;
  bool all_rows;
};

class ScreenEstimates : public ::testing::TestWithParam<Case> {};

TEST_P(ScreenEstimates, EqualTheirDefinitionsInFloat64) {
  const Model model = fixture_model(GetParam().model);
  const Calibration calibration = calibration_of(model);
  const ScreenText text = text_of(3, 24, GetParam().all_rows);
  ScreenOptions options{.schemes = {"int3:channel:sym", "int4:g32:asym"}, .seed = kSeed, .labels = GetParam().labels};
  options.compute.threads = 2;
  const Screen s = screen(model, calibration, {text}, options);
  BruteForce brute(model);
  std::vector<std::map<TensorId, at::Tensor>> gradients;
  double tokens = 0;
  for (size_t w = 0; w < text.data.windows.size(); ++w) {
    gradients.push_back(brute.gradients(text.data.windows[w], w, GetParam().labels));
    tokens += static_cast<double>(text.data.windows[w].scored());
  }
  EXPECT_NEAR(s.domains[0].label_nll.mean, brute.nll / tokens, 1e-5) << "the same labels";
  EXPECT_GT(s.components.size(), 20u);
  for (const std::string& name : options.schemes)
    for (const Component& component : s.components) {
      std::vector<double> directional, diagonal, dots, counts;
      double fit = 0, weight_mse = 0, weight_squares = 0, product = 0;
      for (size_t w = 0; w < gradients.size(); ++w) {
        double dot = 0, squares = 0;
        for (const WeightSlice& slice : slices_of(model.config(), component)) {
          const at::Tensor weight = model.weight(slice.tensor).to(at::kFloat);
          const at::Tensor q = quantize_values(Scheme::parse(name), weight, {}, 1, "");
          const at::Tensor d = slice_of((q - weight).to(at::kDouble), slice);
          const at::Tensor g = slice_of(gradients[w].at(slice.tensor), slice);
          dot += (g * d).sum().item<double>();
          squares += (g * d).square().sum().item<double>();
          fit += g.square().sum().item<double>() * d.square().mean().item<double>() / tokens;
          if (w > 0) continue;
          const at::Tensor own = slice_of(weight.to(at::kDouble), slice);
          weight_mse += d.square().sum().item<double>();
          weight_squares += own.square().sum().item<double>();
          product += (own * d).sum().item<double>();
        }
        directional.push_back(dot * dot / 2);
        diagonal.push_back(squares / 2);
        dots.push_back(dot);
        counts.push_back(static_cast<double>(text.data.windows[w].scored()));
      }
      SCOPED_TRACE(name_of(component) + " " + name);
      const auto expect = [&](const char* key, const Measured& wanted, double relative, double absolute = 0) {
        const Measured& got = s.at(component, name, key);
        EXPECT_NEAR(got.mean, wanted.mean, relative * std::abs(wanted.mean) + absolute) << key;
        EXPECT_NEAR(got.standard_error, wanted.standard_error, 2 * relative * wanted.standard_error + absolute) << key;
      };
      // float32 activations and gradients: 1e-6 a product, through the layers and squared; a dot of many terms that
      // cancel keeps the error of its terms.
      const Measured diag = ratio_estimate(diagonal, counts);
      expect("diagonal", diag, 1e-3);
      expect("directional", ratio_estimate(directional, counts), 1e-3, 1e-3 * diag.mean);
      const Measured first = ratio_estimate(dots, counts);
      expect("first_order", {std::abs(first.mean), first.standard_error}, 1e-3, 1e-3 * std::sqrt(diag.mean / tokens));
      EXPECT_NEAR(s.at(component, name, "fit").mean, fit, 1e-3 * fit);
      EXPECT_NEAR(s.at(component, name, "weight_mse").mean, weight_mse, 1e-5 * weight_mse);
      EXPECT_NEAR(s.at(component, name, "sqnr_db").mean, 10 * std::log10(weight_squares / weight_mse), 1e-4);
      EXPECT_NEAR(s.at(component, name, "cosine").mean,
                  (weight_squares + product) / std::sqrt(weight_squares * (weight_squares + 2 * product + weight_mse)),
                  1e-6);
    }
}

INSTANTIATE_TEST_SUITE_P(Models, ScreenEstimates, ::testing::ValuesIn([] {
                           std::vector<Case> cases;
                           for (const std::string& name : fixture_names())
                             cases.push_back({name, ScreenLabels::kSampled, true});
                           cases.push_back({"llama", ScreenLabels::kText, true});
                           cases.push_back({"llama3_rope_tied", ScreenLabels::kSampled, false});
                           cases.push_back({"mixtral", ScreenLabels::kText, false});
                           return cases;
                         }()),
                         [](const auto& info) {
                           return info.param.model + (info.param.labels == ScreenLabels::kText ? "_text" : "") +
                                  (info.param.all_rows ? "" : "_half");
                         });

/// What screens of one model must agree in, whatever was chosen that should not matter.
void expect_same(const Screen& a, const Screen& b, double relative) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (size_t i = 0; i < a.values.size(); ++i) {
    if (std::isnan(a.values[i].mean) && std::isnan(b.values[i].mean)) continue;
    ASSERT_NEAR(a.values[i].mean, b.values[i].mean, relative * std::abs(a.values[i].mean) + relative * 1e-6) << i;
  }
}

TEST(Screen, AnyNumberOfThreadsGivesTheSameBits) {
  for (const char* name : {"llama3_rope_tied", "mixtral"}) {
    const Model model = fixture_model(name);
    const Calibration calibration = calibration_of(model);
    ScreenOptions options{.schemes = {"int3:channel:sym", "gguf:q4_0"}, .kfac_rows = 32, .channels = true};
    options.compute.threads = 1;
    const Screen one = screen(model, calibration, {text_of(5, 24)}, options);
    options.compute.threads = 2;
    const Screen two = screen(model, calibration, {text_of(5, 24)}, options);
    EXPECT_EQ(screen_to_json(one).dump(), screen_to_json(two).dump());
    ASSERT_EQ(one.channels.size(), two.channels.size());
    for (size_t i = 0; i < one.channels.size(); ++i) {
      EXPECT_EQ(one.channels[i].input_damage, two.channels[i].input_damage);
      EXPECT_EQ(one.channels[i].combined, two.channels[i].combined);
    }
  }
}

TEST(Screen, LittleMemoryChangesNothing) {
  for (const char* name : {"llama3_rope_tied", "llama"}) {
    const Model model = fixture_model(name);
    const Calibration calibration = calibration_of(model);
    ScreenOptions options{.schemes = {"int3:channel:sym"}, .seed = kSeed};
    const Screen all = screen(model, calibration, {text_of(3, 24)}, options);
    // Streams are made again, the vocabulary comes in tiles, one sequence at a time is differentiated.
    options.memory_bytes = least_screen_memory(model, {text_of(3, 24)}, options);
    expect_same(all, screen(model, calibration, {text_of(3, 24)}, options), 2e-4);
    options.schemes = {"int4:tensor"};  // rows share a scale: no tile can be quantized alone
    expect_same(screen(model, calibration, {text_of(3, 24)}, {.schemes = options.schemes, .seed = kSeed}),
                screen(model, calibration, {text_of(3, 24)}, options), 2e-4);
  }
}

TEST(Screen, FewerSequencesAtOnceGiveTheSameBits) {
  if (resolve_threads({.threads = 2}) < 2) GTEST_SKIP() << "one processor takes one sequence at a time anyway";
  for (const char* name : {"llama", "mixtral"}) {
    const Model model = fixture_model(name);
    const Calibration calibration = calibration_of(model);
    const std::vector<ScreenText> text{text_of(80, 24)};  // so many that the vocabulary is one tile in either case
    ScreenOptions options{.schemes = {"int3:channel:sym", "gguf:q4_0"}, .kfac_rows = 32, .channels = true};
    options.compute.threads = 2;
    options.memory_bytes = int64_t{1} << 30;  // a sequence for each thread
    const Screen two = screen(model, calibration, text, options);
    options.memory_bytes = least_screen_memory(model, text, options);  // one, and both multiply its gradients
    Warnings sink;
    const Screen one = screen(model, calibration, text, options, &sink);
    EXPECT_TRUE(screen_to_json(one) == screen_to_json(two)) << name;
    ASSERT_EQ(one.channels.size(), two.channels.size());
    for (size_t i = 0; i < one.channels.size(); ++i)
      EXPECT_TRUE(one.channels[i].output_damage == two.channels[i].output_damage) << name << " " << i;
    EXPECT_THAT(sink.all, ::testing::ElementsAre(::testing::HasSubstr("1 of 2 sequences")));
    --options.memory_bytes;
    expect_error(ErrorKind::kInvalidArgument, {"screen", "memory", "at least"},
                 [&] { screen(model, calibration, text, options); });
  }
}

TEST(Screen, KFacOverAllRowsIsTheProductOfCovariances) {
  const Model model = fixture_model("qwen2");
  const Calibration calibration = calibration_of(model);
  const ScreenText text = text_of(3, 24);
  const std::string scheme = "int3:channel:sym";
  const Screen s = screen(model, calibration, {text}, {.schemes = {scheme}, .seed = kSeed, .kfac_rows = 100000});
  // Inputs and output gradients of attn_q in float64: its gradient by a bias for every row.
  const TensorId q{TensorRole::kAttnQ, 1};
  const int64_t rows = 3 * 23;
  at::Tensor inputs = at::zeros({rows, model.shape(q)[1]}, at::kDouble), outputs;
  outputs = at::zeros({rows, model.shape(q)[0]}, at::kDouble);
  Model wide(model.config(), model.source());
  for (const TensorId& id : model.tensors()) wide.set_weight(id, model.weight(id).to(at::kDouble));
  for (size_t w = 0; w < 3; ++w) {
    const TokenWindow& window = text.data.windows[w];
    const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end() - 1);
    const AtenModel aten(wide, 32);
    at::Tensor bias = at::zeros({23, model.shape(q)[0]}, at::kDouble).set_requires_grad(true);
    const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) {
      if (site == SiteId{Site::kAttnInput, 1}) inputs.narrow(0, static_cast<int64_t>(w) * 23, 23).copy_(x[0].detach());
    };
    AtenOps ops = aten.ops(23, &observer);
    at::Tensor x = aten.embed(at::tensor(ids, at::kLong).unsqueeze(0));
    for (int layer = 0; layer < model.config().depth(); ++layer) {
      AtenBlock block = aten.block(layer);
      if (layer == 1) block.qkv[0].bias = block.qkv[0].bias + bias;
      x = run_block(ops, block, x, 0);
    }
    const at::Tensor log_p =
        aten.logits_by(aten.head(), aten.finish(ops, x, model.config().depth(), 0))[0].log_softmax(-1);
    at::Tensor loss = at::zeros({}, at::kDouble);
    for (int64_t r = 0; r < 23; ++r) {
      const at::Tensor cdf = log_p[r].detach().exp().cumsum(0);
      const double u = uniform_at(kSeed, w, static_cast<uint64_t>(r));
      loss = loss - log_p[r][(cdf <= u * cdf[-1]).sum().item<int64_t>()];
    }
    outputs.narrow(0, static_cast<int64_t>(w) * 23, 23).copy_(torch::autograd::grad({loss}, {bias})[0]);
  }
  const double n = static_cast<double>(rows);
  const at::Tensor a = inputs.t().mm(inputs) / n, g = outputs.t().mm(outputs) / n;  // K-FAC's two factors
  const at::Tensor weight = model.weight(q).to(at::kFloat);
  const at::Tensor d = (quantize_values(Scheme::parse(scheme), weight, {}, 1, "") - weight).to(at::kDouble);
  const double kfac = (g.mm(d).mm(a) * d).sum().item<double>() / 2;
  EXPECT_NEAR(s.at(component_of(q), scheme, "kfac").mean, kfac, 1e-3 * kfac);
  const double output = (d.mm(a) * d).sum().item<double>();
  EXPECT_NEAR(s.at(component_of(q), scheme, "output_mse").mean, output, 1e-4 * output);
  const auto top = [](const at::Tensor& m) { return std::get<0>(at::linalg_eigh(m)).max().item<double>(); };
  const double eigen = top(g) * top(a) * d.square().sum().item<double>() / 2;
  EXPECT_NEAR(s.at(component_of(q), scheme, "top_eigenvalue").mean, eigen, 0.03 * eigen) << "to 1% a side";
}

TEST(Screen, KFacOfSampledRowsIsNearThatOfAll) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibration_of(model);
  const std::string scheme = "int3:channel:sym";
  const auto run = [&](int64_t rows) {
    return screen(model, calibration, {text_of(4, 64)}, {.schemes = {scheme}, .seed = kSeed, .kfac_rows = rows});
  };
  const Screen all = run(100000), some = run(128);
  const Component ffn{ComponentKind::kFfn, 0};
  const Measured a = all.at(ffn, scheme, "kfac"), b = some.at(ffn, scheme, "kfac");
  EXPECT_NE(a.mean, b.mean);
  EXPECT_NEAR(a.mean, b.mean, 0.5 * a.mean);
}

// One row in a hundred holds almost everything, as where attention goes that has nothing to do.
TEST(TokenRows, SamplesAreRightInTheMean) {
  at::Tensor rows = at::arange(400, at::kFloat).view({100, 4}).sin();
  rows[17].mul_(500);
  const at::Tensor all = rows.t().mm(rows).to(at::kDouble);
  at::Tensor even = at::cat({rows.narrow(0, 0, 17), rows.narrow(0, 18, 82)});
  const at::Tensor without = even.t().mm(even).to(at::kDouble);
  at::Tensor mean = at::zeros({4, 4}, at::kDouble);
  constexpr int kDraws = 2000;
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    const at::Tensor kept = sample_rows(draw, 3, RowSide::kInputs, rows, 10);
    EXPECT_GE(kept.size(0), 9);
    EXPECT_LE(kept.size(0), 10);
    EXPECT_NEAR(kept.square().sum().item<double>(), rows.square().sum().item<double>(), 1e-3 * 250000)
        << "the large row is always there, with its own weight";
    mean += kept.t().mm(kept).to(at::kDouble) / kDraws;
  }
  const at::Tensor large = (all - without).abs();
  // Four standard deviations of the mean of the others, of which nine stand for 99.
  EXPECT_TRUE(((mean - all).abs() < 4 * without.trace() / std::sqrt(9.0 * kDraws) + 1e-5 * large).all().item<bool>())
      << mean << all;
  EXPECT_TRUE(sample_rows(1, 3, RowSide::kInputs, rows, 100).equal(rows)) << "all of them, as they are";
}

TEST(Screen, HessianTraceEqualsDifferencesOfGradients) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibration_of(model);
  const std::string scheme = "int3:channel:sym";
  const ScreenText text = text_of(2, 16);
  const Screen s = screen(model, calibration, {text},
                          {.schemes = {scheme}, .kinds = {ComponentKind::kTensor}, .hessian_probes = 400});
  // The diagonal of one small matrix' Hessian by central differences of the gradient, over both windows.
  const TensorId k{TensorRole::kAttnK, 1};
  Model wide(model.config(), model.source());
  for (const TensorId& id : model.tensors()) wide.set_weight(id, model.weight(id).to(at::kDouble).clone());
  const at::Tensor weight = wide.weight(k);
  double trace = 0;
  constexpr double kStep = 1e-3;
  const auto gradient = [&](const TokenWindow& window, int64_t i) {
    const at::Tensor leaf = weight.detach().clone().set_requires_grad(true);
    Model own = wide;
    own.set_weight(k, leaf);
    const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end());
    const at::Tensor loss = language_model_loss(own, at::tensor(ids, at::kLong).unsqueeze(0));
    return torch::autograd::grad({loss}, {leaf})[0].view(-1)[i].item<double>();
  };
  const int64_t step = std::max<int64_t>(1, weight.numel() / 200);  // every so many: the diagonal is a sample itself
  int64_t taken = 0;
  for (int64_t i = 0; i < weight.numel(); i += step, ++taken)
    for (const TokenWindow& window : text.data.windows) {
      double* value = weight.view(-1).data_ptr<double>() + i;
      *value += kStep;
      const double up = gradient(window, i);
      *value -= 2 * kStep;
      const double down = gradient(window, i);
      *value += kStep;
      trace += (up - down) / (2 * kStep) / 2;
    }
  trace *= static_cast<double>(weight.numel()) / static_cast<double>(taken);
  const at::Tensor plain = model.weight(k).to(at::kFloat);
  const double error = (quantize_values(Scheme::parse(scheme), plain, {}, 1, "") - plain).square().sum().item<double>();
  const double wanted = trace / static_cast<double>(weight.numel()) * error;
  const Measured& got = s.at(component_of(k), scheme, "hawq_v2");
  EXPECT_NEAR(got.mean, wanted, 4 * got.standard_error + 0.2 * std::abs(wanted))
      << "probes, and a tenth of the diagonal";
  EXPECT_GT(got.standard_error, 0);
}

TEST(Screen, WhatIsStoredInAScheneAlreadyCostsNothing) {
  Model model = fixture_model("llama");
  for (const TensorId& id : model.matrices())
    model.set_stored(id, requantize(model, id, Scheme::parse("gguf:q5_0"), {}, 1));
  const Screen s = screen(model, calibration_of(model), {text_of(2, 16)}, {.schemes = {"gguf:q5_0", "gguf:q4_0"}});
  for (const Component& component : s.components) {
    EXPECT_EQ(s.at(component, "gguf:q5_0", "predicted_kl").mean, 0) << name_of(component);
    EXPECT_GT(s.at(component, "gguf:q4_0", "diagonal").mean, 0) << name_of(component);
  }
  for (const ScreenedMatrix& matrix : s.matrices) {
    EXPECT_TRUE(matrix.errors[0].kept);
    EXPECT_TRUE(std::isinf(matrix.errors[0].sqnr_db));
    EXPECT_FALSE(matrix.errors[1].kept);
  }
}

TEST(Screen, FallsBackByShape) {
  const Model model = fixture_model("llama");
  const Screen s = screen(model, calibration_of(model), {text_of(2, 16)}, {.schemes = {"gguf:q4_k"}});
  ASSERT_EQ(s.matrices.size(), model.matrices().size());
  for (const ScreenedMatrix& matrix : s.matrices) EXPECT_EQ(matrix.errors[0].scheme, "gguf:q5_0");
}

TEST(Screen, DomainsAreKeptApart) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibration_of(model);
  ScreenText other = text_of(3, 24);
  other.name = "other";
  for (TokenWindow& window : other.data.windows)
    for (int32_t& token : window.tokens) token = 3 + (token * 7) % 200;
  const ScreenOptions options{.schemes = {"int3:channel:sym"}, .seed = kSeed};
  const Screen both = screen(model, calibration, {text_of(4, 24), other}, options);
  const Screen alone = screen(model, calibration, {other}, options);
  ASSERT_EQ(both.domains.size(), 2u);
  for (const Component& component : both.components)
    for (const char* key : {"diagonal", "directional", "predicted_kl"}) {
      EXPECT_EQ(both.at(component, "int3:channel:sym", key, 1).mean, alone.at(component, "int3:channel:sym", key).mean);
      EXPECT_NE(both.at(component, "int3:channel:sym", key, 0).mean, alone.at(component, "int3:channel:sym", key).mean);
    }
}

TEST(Screen, ChannelsAddUpToTheirMatrix) {
  const Model model = fixture_model("llama3_rope_tied");
  const Screen s =
      screen(model, calibration_of(model), {text_of(3, 24)}, {.schemes = {"int3:channel:sym"}, .channels = true});
  ASSERT_EQ(s.channels.size(), model.matrices().size());
  for (const ChannelScores& scores : s.channels) {
    const double whole = s.at(component_of(scores.tensor), "int3:channel:sym", "diagonal").mean;
    double rows = 0, cols = 0;
    for (const float value : scores.output_damage[0]) rows += static_cast<double>(value);
    for (const float value : scores.input_damage[0]) cols += static_cast<double>(value);
    EXPECT_NEAR(rows, whole, 1e-4 * whole) << name_of(scores.tensor);
    EXPECT_NEAR(cols, whole, 1e-4 * whole) << name_of(scores.tensor);
    EXPECT_EQ(scores.mean_abs.size(), scores.combined.size());
    for (const float value : scores.combined) EXPECT_TRUE(value >= 0 && value <= 1) << value;
  }
}

TEST(Screen, CopiesOfAWindowAreNoEvidence) {
  const Model model = fixture_model("llama");
  ScreenText text = text_of(1, 24);
  text.data.windows.push_back(text.data.windows[0]);
  text.data.windows[1].cluster = 1;
  text.data.clusters.push_back({"", 0, 0});
  const Screen s = screen(model, calibration_of(model), {text}, {.schemes = {"int3:channel:sym"}});
  EXPECT_TRUE(std::isnan(s.at({ComponentKind::kFfn, 0}, "int3:channel:sym", "diagonal").standard_error));
}

TEST(Screen, RefusesWhatItCannotDo) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibration_of(model);
  const auto refused = [&](ErrorKind kind, const std::vector<std::string>& parts, std::vector<ScreenText> texts,
                           const ScreenOptions& options) {
    expect_error(kind, parts, [&] { screen(model, calibration, texts, options); });
  };
  refused(ErrorKind::kInvalidArgument, {"no text"}, {}, {});
  refused(ErrorKind::kInvalidArgument, {"no scheme"}, {text_of(2, 16)}, {.schemes = {}});
  refused(ErrorKind::kInvalidArgument, {"own", "name of its own"}, {text_of(2, 16), text_of(2, 16)}, {});
  refused(ErrorKind::kUnsupported, {"CPU only"}, {text_of(2, 16)}, {.compute = {.device = "cuda"}});
  ScreenText strange = text_of(2, 16);
  strange.data.windows[1].tokens[3] = 5000;
  refused(ErrorKind::kInvalidArgument, {"5000", "wrong tokenizer"}, {strange}, {});
  expect_error(ErrorKind::kInvalidArgument, {"calibration of another model"},
               [&] { screen(model, calibration_of(fixture_model("qwen2")), {text_of(2, 16)}, {}); });
}

TEST(Screen, ASinkThatThrowsCancels) {
  const Model model = fixture_model("llama");
  CancellingSink sink(5);
  EXPECT_THROW(screen(model, calibration_of(model), {text_of(4, 16)}, {}, &sink), Cancelled);
  EXPECT_EQ(sink.updates, 6);
  EXPECT_FALSE(sink.ended);
}

TEST(Labels, AreDrawnAsOftenAsTheyAreLikely) {
  constexpr int64_t kVocabulary = 600;  // three bins, the last one not full
  std::vector<float> logits(kVocabulary, -20.0f);
  logits[3] = 1, logits[255] = 0, logits[256] = 2, logits[599] = 1.5;
  std::vector<float> largest(static_cast<size_t>(label_bins(kVocabulary)));
  std::vector<double> sums(largest.size());
  bin_sums(logits.data(), kVocabulary, largest.data(), sums.data());
  const RowTotals row = combine_bins(largest.data(), sums.data(), label_bins(kVocabulary));
  double total = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit));
  EXPECT_NEAR(row.log_total(), std::log(total), 1e-6);
  constexpr int kDraws = 40000;
  std::map<int64_t, int> drawn;
  for (int i = 0; i < kDraws; ++i) {
    const double u = uniform_at(11, static_cast<uint64_t>(i / 200), static_cast<uint64_t>(i % 200));
    const LabelPlace place = place_label(u, row, largest.data(), sums.data(), label_bins(kVocabulary));
    const int64_t first = place.bin * kLabelBin;
    ++drawn[first + label_in_bin(logits.data() + first, std::min(kLabelBin, kVocabulary - first),
                                 largest[static_cast<size_t>(place.bin)], place.before)];
  }
  for (const int64_t label : {3, 255, 256, 599}) {
    const double p = std::exp(static_cast<double>(logits[static_cast<size_t>(label)])) / total;
    EXPECT_NEAR(drawn[label], kDraws * p, 4 * std::sqrt(kDraws * p)) << label;  // four standard deviations
  }
}

}  // namespace
}  // namespace vernier
