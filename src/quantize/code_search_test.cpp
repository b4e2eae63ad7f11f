// Searches over codes against references in float64, on the layer-wise error tr(E G E').

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quantize/grid_search.h"
#include "quantize/guard.h"

namespace vernier {
namespace {

/// Rows of a weight and inputs that are correlated, of channels of very different size.
struct MadeUpLayer {
  at::Tensor weight, gram;
  explicit MadeUpLayer(int64_t cols, int64_t rows = 48) {
    at::manual_seed(7);
    weight = at::randn({rows, cols});
    const at::Tensor sizes = at::randn({cols}).mul(1.5).exp();
    const at::Tensor inputs =
        at::mm(at::randn({4 * cols, cols / 2}), at::randn({cols / 2, cols})) + at::randn({4 * cols, cols});
    gram = at::mm((inputs * sizes).t(), inputs * sizes) / inputs.size(0);
  }
  double error(const at::Tensor& values) const {
    const at::Tensor e = (values - weight).to(at::kDouble);
    return (at::mm(e, gram.to(at::kDouble)) * e).sum().item<double>();
  }
};

const std::vector<float> kAlike;

SearchInput input_of(const Scheme& scheme, const MadeUpLayer& layer) {
  return {scheme, layer.weight, kAlike, 2, "a matrix"};
}

/// Column by column in float64, as the paper has it before it makes it fast: no blocks, no Cholesky factor, the inverse of
/// what is left by elimination. Of codebooks of several weights so many columns at a time, chosen by the diagonal of what
/// their errors cost.
at::Tensor reference_feedback(const MadeUpLayer& layer, const Scheme& scheme, const std::vector<std::byte>& scales,
                              double shrink) {
  const int64_t rows = layer.weight.size(0), cols = layer.weight.size(1);
  const auto grid = grid_of(scheme, rows, cols);
  at::Tensor h = layer.gram.to(at::kDouble);
  h = h * (1 - shrink) + at::diag(h.diagonal()) * shrink;
  const int64_t joint = grid->joint_cols;
  const at::Tensor sizes = h.diagonal().view({-1, joint}).sum(1).contiguous();
  std::vector<int64_t> order(static_cast<size_t>(cols / joint));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [size = sizes.data_ptr<double>()](int64_t a, int64_t b) { return size[a] > size[b]; });
  at::Tensor w = layer.weight.to(at::kDouble).clone(), inverse = at::linalg_inv(h);
  const at::Tensor values = at::empty_like(w), error = at::empty({rows, joint}, at::kDouble);
  std::vector<Step> steps(static_cast<size_t>(grid->segments()));
  for (const int64_t set : order) {
    const int64_t col = set * joint;
    const at::Tensor own = inverse.narrow(0, col, joint).clone();  // rows of the set
    const at::Tensor cost = at::linalg_inv(own.narrow(1, col, joint));
    const at::Tensor weights = cost.diagonal().to(at::kFloat).contiguous();
    for (int64_t r = 0; r < rows; ++r) {
      grid->steps(r, col / grid->block_cols, scales.data(), steps.data());
      const Step& step = steps[static_cast<size_t>(col % grid->block_cols / grid->segment_cols)];
      const double* exact = w.data_ptr<double>() + r * cols + col;
      const std::vector<float> x(exact, exact + joint);
      std::vector<Code> codes(static_cast<size_t>(joint));
      grid->nearest_jointly(step, x.data(), weights.data_ptr<float>(), joint, codes.data());
      for (int64_t i = 0; i < joint; ++i) {
        const double value = value_of(step, grid->level(codes[static_cast<size_t>(i)]));
        values.data_ptr<double>()[r * cols + col + i] = value;
        error.data_ptr<double>()[r * joint + i] = exact[i] - value;
      }
    }
    const at::Tensor made_up_for = at::mm(cost, own);
    w = w - at::mm(error, made_up_for);
    inverse = inverse - at::mm(own.t(), made_up_for);
  }
  return values.to(at::kFloat);
}

const char* const kSchemes[] = {"int3:g32:asym", "int4:channel:sym", "gguf:q4_0",  "gguf:q4_k",  "gguf:q2_k",
                                "gguf:iq4_nl",   "int4:tensor",      "gguf:iq3_s", "gguf:iq2_xs"};

TEST(CodeSearch, FeedbackIsThePapersWithinOnePercentAndBetterThanRounding) {
  const MadeUpLayer layer(256, 96);
  for (const char* name : kSchemes) {
    const Scheme scheme = Scheme::parse(name);
    const GridSearch matrix(input_of(scheme, layer));
    const Curvature curvature = curvature_of(layer.gram, 0.05, matrix.joint_cols());
    const auto rounded = matrix.make({}, {}, nullptr);
    const auto fed_back = matrix.make({.feed_back = true}, {}, &curvature);
    const double ours = layer.error(matrix.values(fed_back));
    const double reference = layer.error(reference_feedback(layer, scheme, rounded, 0.05));
    EXPECT_NEAR(ours / reference, 1, 0.01) << name;
    EXPECT_LT(ours, 0.95 * layer.error(matrix.values(rounded))) << name;
  }
}

TEST(CodeSearch, DescentEndsWhereNoSingleCodeCanMove) {
  const MadeUpLayer layer(64, 4);
  const Curvature curvature = curvature_of(layer.gram, 1e-3);
  const at::Tensor h = curvature.gram.to(at::kDouble);
  const auto error = [&](const at::Tensor& values) {
    const at::Tensor e = (values - layer.weight).to(at::kDouble);
    return (at::mm(e, h) * e).sum().item<double>();
  };
  for (const char* name : {"int3:g32:asym", "gguf:q4_0", "gguf:iq4_nl"}) {
    const Scheme scheme = Scheme::parse(name);
    const GridSearch matrix(input_of(scheme, layer));
    const auto rounded = matrix.make({}, {}, nullptr);
    const auto descended = matrix.make({.descend = true}, {}, &curvature);
    const double best = error(matrix.values(descended));
    EXPECT_LT(best, error(matrix.values(rounded))) << name;
    const auto grid = grid_of(scheme, 4, 64);
    std::vector<Code> codes(64);
    std::vector<Step> steps(static_cast<size_t>(grid->segments()));
    for (int64_t row = 0; row < 4; ++row) {
      grid->unpack_row(row, descended.data(), codes.data());
      for (int64_t col = 0; col < 64; ++col) {
        grid->steps(row, col / grid->block_cols, descended.data(), steps.data());
        for (const int by : {-1, 1}) {
          const int64_t code = int64_t{codes[static_cast<size_t>(col)]} + by;
          if (code < 0 || code > grid->top_code) continue;
          at::Tensor values = matrix.values(descended).clone();
          values[row][col] = value_of(steps[static_cast<size_t>(col % grid->block_cols / grid->segment_cols)],
                                      grid->level(static_cast<Code>(code)));
          EXPECT_GT(error(values), best * (1 - 1e-6)) << name << " row " << row << " column " << col;
        }
      }
    }
  }
}

TEST(CodeSearch, DescentAfterFeedbackIsNeverWorse) {
  const MadeUpLayer layer(256);
  for (const char* name : kSchemes) {
    const Scheme scheme = Scheme::parse(name);
    const GridSearch matrix(input_of(scheme, layer));
    const Curvature curvature = curvature_of(layer.gram, 0.01, matrix.joint_cols());
    const double fed_back = layer.error(matrix.values(matrix.make({.feed_back = true}, {}, &curvature)));
    const double both = layer.error(matrix.values(matrix.make({.feed_back = true, .descend = true}, {}, &curvature)));
    EXPECT_LE(both, fed_back * 1.001) << name;  // by H, which differs from G by a hundredth of its diagonal
  }
}

TEST(CodeSearch, SearchedRangesAreNeverWorseAndFindAClippedEnd) {
  MadeUpLayer layer(128);
  layer.weight.select(1, 5).mul_(8);  // an outlier a group
  const std::vector<float> importance = importance_of(layer.gram);
  const at::Tensor columns = at::tensor(importance);
  for (const char* name : {"int3:g32:asym", "int4:channel:sym", "int4:tensor", "gguf:q4_0"}) {
    const Scheme scheme = Scheme::parse(name);
    const GridSearch matrix(input_of(scheme, layer));
    const auto weighted = [&](Ranges ranges) {
      const at::Tensor e = matrix.values(matrix.make({.ranges = ranges}, importance, nullptr)) - layer.weight;
      return (e.square() * columns).sum().item<double>();
    };
    EXPECT_LE(weighted(Ranges::kSearched), weighted(Ranges::kFitted) * (1 + 1e-6)) << name;
    if (std::string(name).starts_with("int")) {
      EXPECT_LT(weighted(Ranges::kSearched), 0.9 * weighted(Ranges::kFitted)) << name;
    }
  }
}

TEST(CodeSearch, ResultsDoNotDependOnThreads) {
  const MadeUpLayer layer(256, 100);
  for (const char* name : kSchemes) {
    const Scheme scheme = Scheme::parse(name);
    const GridRecipe recipe{.ranges = Ranges::kSearched, .feed_back = true, .descend = true};
    const SearchInput one{scheme, layer.weight, kAlike, 1, ""}, three{scheme, layer.weight, kAlike, 3, ""};
    const Curvature curvature = curvature_of(layer.gram, 0.05, GridSearch(one).joint_cols());
    EXPECT_EQ(GridSearch(one).make(recipe, {}, &curvature), GridSearch(three).make(recipe, {}, &curvature)) << name;
  }
}

TEST(Guard, EveryPartIsJudgedOnceAndByWhatWasMadeWithoutIt) {
  InputGrams grams;
  for (int part = 0; part < 5; ++part) grams.parts.push_back(at::eye(2) * (part + 1));
  grams.parts[1] = at::Tensor();  // no tokens
  std::vector<size_t> judged;
  for (const GuardFold& fold : guard_folds(grams)) {
    EXPECT_EQ(fold.made_from.size() + fold.judged_on.size(), 4u);
    for (const size_t part : fold.judged_on) {
      EXPECT_EQ(std::ranges::count(fold.made_from, part), 0);
      judged.push_back(part);
    }
  }
  std::ranges::sort(judged);
  EXPECT_EQ(judged, (std::vector<size_t>{0, 2, 3, 4}));
  grams.parts.resize(2);
  EXPECT_TRUE(guard_folds(grams).empty()) << "one part cannot judge itself";
  EXPECT_TRUE(std::isinf(guarded_score({1, 2.1}, {2, 2})));
  EXPECT_NEAR(guarded_score({1, 2}, {2, 2}), std::log(0.5) / 2, 1e-12);
}

/// What enters a matrix in so many domains: channels of the same sizes, correlated in each domain in its own way.
InputGrams made_up_domains(int64_t cols, size_t count) {
  at::manual_seed(11);
  InputGrams grams;
  for (size_t part = 0; part < count; ++part) {
    const at::Tensor x = at::mm(at::randn({4 * cols, 4}), at::randn({4, cols})) + at::randn({4 * cols, cols});
    grams.parts.push_back(at::mm(x.t(), x) / x.size(0));
    grams.means.push_back(x.mean(0));
  }
  return grams;
}

// What one domain says about correlations is wrong in the next: error feedback loses there, and the guard must notice.
TEST(Guard, TheDefaultIsNotWorseThanRoundingWhereFeedbackIs) {
  InputGrams known = made_up_domains(64, 6);
  const at::Tensor unseen = known.parts.back();
  known.parts.pop_back();
  known.means.pop_back();
  const at::Tensor weight = at::randn({64, 64});
  const auto error = [&](const char* method, const Scheme& scheme, const InputGrams& grams, const at::Tensor& judge) {
    const auto bytes = find_value_search(method).run({scheme, weight, kAlike, 1, "a matrix", &grams}).bytes;
    const SearchInput input{scheme, weight, kAlike, 1, "a matrix"};
    return output_error(GridSearch(input).values(bytes) - weight, judge);
  };
  InputGrams one = known;
  one.parts.resize(1);
  one.means.resize(1);
  for (const char* name : {"int3:g32:sym", "gguf:q4_0"}) {
    const Scheme scheme = Scheme::parse(name);
    EXPECT_GT(error("gptq", scheme, one, unseen), 1.05 * error("nearest", scheme, one, unseen)) << name;
    EXPECT_EQ(error("auto", scheme, one, unseen), error("nearest", scheme, one, unseen)) << "nothing to judge by";
    EXPECT_LE(error("auto", scheme, known, unseen), error("nearest", scheme, known, unseen)) << name;
    for (const at::Tensor& part : known.parts)
      EXPECT_LE(error("auto", scheme, known, part), error("nearest", scheme, known, part)) << name;
  }
}

// Where all parts of a text are alike, values made without one are those made from all.
TEST(Guard, TellsWhatIsLeftOnTextThatTheValuesWereNotMadeFrom) {
  const InputGrams domains = made_up_domains(64, 4);
  const at::Tensor weight = at::randn({64, 64});
  const Scheme scheme = Scheme::parse("int4:g32:sym");
  const auto run = [&](const InputGrams& grams) {
    return find_value_search("auto").run({scheme, weight, kAlike, 1, "a matrix", &grams});
  };
  const auto error_of = [&](const std::vector<std::byte>& bytes, const at::Tensor& gram) {
    const SearchInput input{scheme, weight, kAlike, 1, "a matrix"};
    return output_error(GridSearch(input).values(bytes) - weight, gram);
  };
  InputGrams alike;
  alike.parts.assign(4, domains.parts[0]);
  alike.means.assign(4, domains.means[0]);
  const SearchedValues found = run(alike);
  ASSERT_EQ(found.held_out.size(), 4U);
  for (const double error : found.held_out)
    EXPECT_NEAR(error, error_of(found.bytes, alike.parts[0]), 1e-5 * error) << "a mean of equals rounds";
  EXPECT_LT(found.held_out[0],
            0.9 * error_of(find_value_search("nearest").run({scheme, weight, kAlike, 1, ""}).bytes, alike.parts[0]))
      << "there is something to gain";
  const SearchedValues apart = run(domains);
  double held_out = 0, seen = 0;
  for (size_t part = 0; part < 4; ++part) {
    held_out += apart.held_out[part];
    seen += error_of(apart.bytes, domains.parts[part]);
  }
  EXPECT_GE(held_out, seen) << "what was made from a text does better on it";
  InputGrams one = domains;
  one.parts.resize(1);
  one.means.resize(1);
  EXPECT_TRUE(run(one).held_out.empty()) << "nothing to judge by";
}

}  // namespace
}  // namespace vernier
