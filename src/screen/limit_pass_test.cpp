#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>
#include <random>

#include "base/counter_random.h"
#include "limit/spectrum.h"
#include "screen/gram.h"
#include "screen/vocabulary_limit.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "vernier/screen.h"

namespace vernier {
namespace {

constexpr uint64_t kLabelSeed = 7;
constexpr int64_t kWindows = 3, kRows = 23;

ScreenText own_text(const std::string& name = "own") {
  ScreenText text{name, made_up_windows(kWindows, kRows + 1, 320)};
  for (TokenWindow& window : text.data.windows) window.first_row = 0;
  return text;
}

Screen screened(const Model& model, ScreenOptions options) {
  options.schemes = {"int3:channel:sym"};
  options.seed = kLabelSeed;
  options.limit = true;
  return screen(model, calibrate(model, made_up_windows(2, 32, 320)), {own_text()}, options);
}

const DamageSpectrum& spectrum_of(const Screen& s, const TensorId& id) {
  for (const DamageSpectrum& m : s.limit->matrices)
    if (m.tensor == name_of(id)) return m;
  throw std::runtime_error("no spectrum of " + name_of(id));
}

/// Reverse water-filling by bisection of its height, direction by direction.
double water_filled(const std::vector<double>& nats, double bits) {
  double low = -300, high = 60;
  for (int i = 0; i < 100; ++i) {
    const double height = (low + high) / 2;
    double rate = 0;
    for (const double each : nats) rate += each > 0 ? std::max(0.0, (std::log2(each) - height) / 2) : 0;
    (rate > bits ? low : high) = height;
  }
  double sum = 0;
  for (const double each : nats) sum += std::min(each, std::exp2(high));
  return sum;
}

/// Rates of up to 4 bits per direction: what is below is where float32 ends.
void expect_spectrum(const DamageSpectrum& got, const std::vector<double>& nats, double relative) {
  double total = 0;
  for (const double each : nats) total += each;
  EXPECT_NEAR(got.total_nats, total, 1e-4 * total);
  for (const double rate : {0.0, 0.3, 1.0, 2.0, 4.0}) {
    const double bits = rate * static_cast<double>(nats.size()), wanted = water_filled(nats, bits);
    EXPECT_NEAR(limit_kl(got, bits), wanted, relative * wanted) << rate << " bits per direction";
  }
}

std::vector<double> eigenvalues_of(const at::Tensor& symmetric) {
  const at::Tensor values = at::linalg_eigvalsh(symmetric).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

double half_variance(const Model& model, const TensorId& id) {
  return model.weight(id).to(at::kDouble).var(false).item<double>() / 2;
}

/// One differentiable forward per window of the whole model in float64, with a bias for every row of three products of a
/// layer, and the stream that enters the first one.
struct FactorsByHand {
  FactorsByHand(const Model& model, int layer) : wide(model.config(), model.source()) {
    for (const TensorId& id : model.tensors()) wide.set_weight(id, model.weight(id).to(at::kDouble));
    const ScreenText text = own_text();
    std::map<TensorId, std::vector<at::Tensor>> in, out;
    std::vector<at::Tensor> entering, final_states, head;
    for (size_t w = 0; w < text.data.windows.size(); ++w) {
      const TokenWindow& window = text.data.windows[w];
      const std::vector<int64_t> ids(window.tokens.begin(), window.tokens.end() - 1);
      const AtenModel aten(wide, kRows);
      std::map<SiteId, at::Tensor> inputs;
      const AtenObserver observer = [&](const SiteId& site, const at::Tensor& x) { inputs[site] = x[0].detach(); };
      AtenOps ops = aten.ops(kRows, &observer);
      std::map<TensorId, at::Tensor> biases;
      const auto tap = [&](AtenLinear& linear, const TensorId& id) {
        at::Tensor& own = biases[id];
        own = at::zeros({kRows, model.shape(id)[0]}, at::kDouble).set_requires_grad(true);
        linear.bias = linear.bias.defined() ? linear.bias + own : own;
      };
      const at::Tensor embedded = aten.embed(at::tensor(ids, at::kLong).unsqueeze(0)).detach().set_requires_grad(true);
      at::Tensor x = embedded;
      for (int l = 0; l < model.config().depth(); ++l) {
        AtenBlock block = aten.block(l);
        if (l == layer) {
          tap(block.qkv[1], {TensorRole::kAttnK, l});
          tap(block.attn_output[0], {TensorRole::kAttnOutput, l});
          tap(block.ffn.down[0], {TensorRole::kFfnDown, l});
        }
        x = run_block(ops, block, x, 0);
      }
      const at::Tensor final_state = aten.finish(ops, x, model.config().depth(), 0);
      const at::Tensor log_p = aten.logits_by(aten.head(), final_state)[0].log_softmax(-1);
      at::Tensor loss = at::zeros({}, at::kDouble), p = log_p.detach().exp();
      for (int64_t r = 0; r < kRows; ++r) {
        const at::Tensor cdf = p[r].cumsum(0);
        const double u = uniform_at(kLabelSeed, w, static_cast<uint64_t>(r));
        const int64_t label = (cdf <= u * cdf[-1]).sum().item<int64_t>();
        loss = loss - log_p[r][label];
        p[r][label] -= 1;
      }
      std::vector<at::Tensor> leaves{embedded};
      for (const auto& [id, bias] : biases) leaves.push_back(bias);
      const std::vector<at::Tensor> gradients = torch::autograd::grad({loss}, leaves);
      size_t i = 1;
      for (const auto& [id, bias] : biases) {
        in[id].push_back(inputs.at(*model.blueprint().at(id).input));
        out[id].push_back(gradients[i++]);
      }
      entering.push_back(gradients[0][0]);
      final_states.push_back(final_state[0].detach());
      head.push_back(p.square().sum(0));
      for (const int64_t id : ids) seen[id] += 1;
    }
    const auto covariance = [&](const std::vector<at::Tensor>& parts) {
      const at::Tensor rows = at::cat(parts);
      return rows.t().mm(rows) / static_cast<double>(rows.size(0));
    };
    for (const auto& [id, parts] : in) {
      std::vector<double>& own = nats[id];
      for (const double g : eigenvalues_of(covariance(out[id])))
        for (const double h : eigenvalues_of(covariance(parts))) own.push_back(half_variance(model, id) * g * h);
    }
    H = covariance(final_states);
    C = covariance(entering) * std::pow(model.config().embedding_scale, 2);
    for (const at::Tensor& own : head) squares = squares.defined() ? squares + own : own;
    squares = squares / static_cast<double>(kWindows * kRows);
  }

  /// Row by row.
  std::vector<double> vocabulary(double factor, bool by_head, bool by_look_up) const {
    std::vector<double> all;
    for (int64_t v = 0; v < squares.size(0); ++v) {
      const auto it = seen.find(v);
      const double frequency = it == seen.end() ? 0 : it->second / static_cast<double>(kWindows * kRows);
      const at::Tensor curvature = (by_head ? squares[v].item<double>() : 0.0) * H + (by_look_up ? frequency : 0.0) * C;
      for (const double value : eigenvalues_of(curvature * factor)) all.push_back(value);
    }
    return all;
  }

  Model wide;
  std::map<TensorId, std::vector<double>> nats;
  std::map<int64_t, double> seen;
  at::Tensor H, C, squares;
};

// Float32 sums; a twelfth of all directions of these tiny matrices lies in one level, where half a level counts.
constexpr double kTolerance = 0.005;

class LimitPass : public ::testing::TestWithParam<const char*> {};

TEST_P(LimitPass, SpectraAreThoseOfFloat64Autograd) {
  const Model model = fixture_model(GetParam());
  const Screen s = screened(model, {});
  const FactorsByHand brute(model, 1);
  ASSERT_EQ(brute.nats.size(), 3u);
  for (const auto& [id, nats] : brute.nats) {
    SCOPED_TRACE(name_of(id));
    expect_spectrum(spectrum_of(s, id), nats, kTolerance);
  }
  const TensorId embedding{TensorRole::kTokenEmbedding, -1}, output = model.output_matrix();
  const bool tied = model.config().tied_embedding;
  expect_spectrum(spectrum_of(s, embedding), brute.vocabulary(half_variance(model, embedding), tied, true), kTolerance);
  if (!tied)
    expect_spectrum(spectrum_of(s, output), brute.vocabulary(half_variance(model, output), true, false), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Models, LimitPass, ::testing::Values("qwen2", "llama3_rope_tied", "gpt2"));

TEST(LimitPassOfAllModels, EveryMatrixHasASpectrum) {
  for (const std::string& name : fixture_names()) {
    SCOPED_TRACE(name);
    const Model model = fixture_model(name);
    const Screen s = screened(model, {});
    ASSERT_EQ(s.limit->matrices.size(), model.matrices().size());
    EXPECT_EQ(s.limit->tokens, kWindows * kRows);
    for (size_t m = 0; m < s.limit->matrices.size(); ++m) {
      const DamageSpectrum& own = s.limit->matrices[m];
      EXPECT_EQ(own.tensor, name_of(model.matrices()[m]));
      double directions = 0;
      for (const double count : own.directions) directions += count;
      EXPECT_LE(directions, static_cast<double>(own.weights()) * 1.0001) << own.tensor;
      EXPECT_NEAR(limit_kl(own, 0), own.total_nats, 0.001 * own.total_nats) << own.tensor;
      EXPECT_TRUE(own.total_nats > 0 || parse_tensor(own.tensor).expert >= 0 || own.directions.empty()) << own.tensor;
    }
  }
}

TEST(LimitPassOfAllModels, ExpertsWantAsManyMoreTokensAsPassThemBy) {
  EXPECT_EQ(tokens_for_limit(fixture_model("llama")), 4 * 128);
  EXPECT_EQ(tokens_for_limit(fixture_model("mixtral")), 4 * 128 * 2) << "two of four experts see a token";
}

TEST(LimitPassOfAllModels, NothingElseOfTheScreenChanges) {
  const Model model = fixture_model("mixtral");
  const Calibration calibration = calibrate(model, made_up_windows(2, 32, 320));
  ScreenOptions options{.schemes = {"int3:channel:sym"}, .seed = kLabelSeed};
  const Screen without = screen(model, calibration, {own_text()}, options);
  options.limit = true;
  options.compute.threads = 1;
  nlohmann::ordered_json one = screen_to_json(screen(model, calibration, {own_text()}, options));
  options.compute.threads = 3;
  EXPECT_EQ(screen_to_json(screen(model, calibration, {own_text()}, options)), one) << "threads";
  EXPECT_EQ(screen_to_json(screen_from_json(one, "screen.json")), one);
  one.erase("limit");
  EXPECT_EQ(screen_to_json(without), one);
}

TEST(LimitPassOfAllModels, LittleMemoryChangesNothing) {
  const Model model = fixture_model("llama3_rope_tied");
  const int64_t least = least_screen_memory(model, {own_text()}, {.limit = true});
  const Screen all = screened(model, {}), little = screened(model, {.memory_bytes = least});
  for (const double bytes : {0.0, 5000.0, 20000.0})
    EXPECT_NEAR(limit_kl(*little.limit, bytes), limit_kl(*all.limit, bytes), 1e-3 * limit_kl(*all.limit, bytes));
}

TEST(LimitPassOfAllModels, NeedsAllMatrices) {
  const Model model = fixture_model("llama");
  expect_error(ErrorKind::kInvalidArgument, {"limit", "all matrices"},
               [&] { screened(model, {.kinds = {ComponentKind::kHead}}); });
}

at::Tensor random_covariance(std::mt19937_64& random, int64_t n) {
  std::normal_distribution<double> normal;
  at::Tensor rows = at::empty({2 * n, n}, at::kDouble);
  for (int64_t i = 0; i < rows.numel(); ++i) rows.view(-1).data_ptr<double>()[i] = normal(random);
  const at::Tensor scales = at::logspace(0, -3, n, 10, at::kDouble);
  const at::Tensor mixed = rows.mul(scales).mm(rows.narrow(0, 0, n));
  return mixed.t().mm(mixed);
}

// Eigenvectors that have nothing to do with each other, weights that span ten decades.
TEST(CountMixtures, IsNearTheEigenvaluesOfEveryRow) {
  std::mt19937_64 random(3);
  const int64_t n = 24;
  const at::Tensor H = random_covariance(random, n), C = random_covariance(random, n);
  std::normal_distribution<double> log_weight(-6, 4);
  std::vector<double> head, looked_up, nats;
  for (int v = 0; v < 300; ++v) {
    head.push_back(v % 7 == 0 ? 0 : std::exp(log_weight(random)));
    looked_up.push_back(v % 5 == 0 ? 0 : std::exp(log_weight(random)));
    for (const double value : eigenvalues_of(head.back() * H + looked_up.back() * C)) nats.push_back(value * 0.5);
  }
  DamageSpectrum got;
  SpectrumCounter counter;
  got.total_nats = count_mixtures(H, n, head, C, n, looked_up, 0.5, 2, counter);
  counter.write(got);
  expect_spectrum(got, nats, 0.002);
}

TEST(GramSum, IsTheUpperTriangleOfTheProduct) {
  const at::Tensor a = at::arange(40 * 600, at::kFloat).view({40, 600}).sin(), b = a.narrow(0, 0, 7).cos();
  GramSum sum(600);
  const std::vector<at::Tensor> rows{a, {}, b};
  for (int64_t tile = 0; tile < sum.tiles(); ++tile) sum.add(tile, rows);
  const at::Tensor wanted = (a.t().mm(a) + b.t().mm(b)).to(at::kDouble).triu();
  EXPECT_LT((sum.upper().triu() - wanted).abs().max().item<double>(), 1e-4);
  const std::vector<double> values = eigenvalues(sum.upper(), 47);
  ASSERT_EQ(values.size(), 600u);
  EXPECT_GT(values[0], values[46]);
  EXPECT_EQ(values[47], 0) << "40 + 7 rows";
}

}  // namespace
}  // namespace vernier
