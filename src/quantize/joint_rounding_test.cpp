#include "quantize/joint_rounding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "quantize/trained_matrix.h"

namespace vernier {
namespace {

constexpr int64_t kRows = 24, kCols = 512;

class Joint : public ::testing::TestWithParam<const char*> {
 protected:
  Joint() {
    at::manual_seed(3);
    x_ = at::randn({kRows, kCols});
    weights_ = at::rand({kCols}) + 0.05;
    scale_ = at::rand({kRows, kCols / grid_->segment_cols, 1}) * 0.05 + 0.02;
    scale_[0].neg_();
  }

  /// sum w (value - x)^2 of each set of weights. @shape codes [kRows, kCols] of any integer type -> [kRows, sets]
  at::Tensor costs(const at::Tensor& codes) const {
    const at::Tensor levels = joint_.levels(codes).reshape({kRows, -1, grid_->segment_cols});
    const at::Tensor error = (levels * scale_).reshape({kRows, kCols}) - x_;
    return (error.square() * weights_).reshape({kRows, -1, grid_->joint_cols}).sum(-1);
  }

  at::Tensor searched() const {
    std::vector<Code> codes(kCols);
    const at::Tensor all = at::empty({kRows, kCols}, at::kInt);
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t s = 0; s * grid_->segment_cols < kCols; ++s) {
        const int64_t col = s * grid_->segment_cols;
        grid_->nearest_jointly({.scale = scale_[r][s][0].item<float>()}, x_[r].data_ptr<float>() + col,
                               weights_.data_ptr<float>() + col, grid_->segment_cols, codes.data() + col);
      }
      for (int64_t c = 0; c < kCols; ++c) all[r][c] = static_cast<int32_t>(codes[static_cast<size_t>(c)]);
    }
    return all;
  }

  const std::unique_ptr<Grid> grid_ = grid_of(Scheme::parse(GetParam()), kRows, kCols);
  const JointRounding joint_{*grid_->codebook(), at::kCPU};
  at::Tensor x_, weights_, scale_;
};

TEST_P(Joint, FindsWhatTheSearchFinds) {
  const at::Tensor found = joint_.codes(x_, scale_, weights_), best = searched();
  const at::Tensor cost = costs(found), least = costs(best);
  // Sums in another order may tell two points apart the other way where they cost the same.
  EXPECT_TRUE((cost >= least - 1e-5 * least).all().item<bool>());
  if (!grid_->codebook()->signs_are_even()) {
    EXPECT_TRUE((cost <= least + 1e-4 * least + 1e-6).all().item<bool>());
    return;
  }
  // Half of the runs have to turn a sign, and which one is not weighed against the points; of those with an even number
  // already nothing is different.
  EXPECT_LT(cost.sum().item<float>(), 1.05f * least.sum().item<float>());
  EXPECT_GT((cost <= least + 1e-4 * least + 1e-6).to(at::kFloat).mean().item<float>(), 0.6f);
}

TEST_P(Joint, CodesStandSideBySide) {
  const at::Tensor found = joint_.codes(x_, scale_, weights_);
  std::vector<std::byte> stored(Scheme::parse(GetParam()).bytes(kRows, kCols));
  std::vector<Code> back(kCols);
  for (int64_t r = 0; r < kRows; ++r) {
    std::vector<Code> codes;
    for (int64_t c = 0; c < kCols; ++c) codes.push_back(found[r][c].item<uint8_t>());
    grid_->pack_row(r, codes.data(), stored.data());
    grid_->unpack_row(r, stored.data(), back.data());
    EXPECT_EQ(back, codes) << r;
  }
}

TEST_P(Joint, WeightsBeginWithWhatIsStored) {
  const Scheme scheme = Scheme::parse(GetParam());
  TrainedMatrix found(scheme, kRows, kCols, {}, at::kCPU), matrix(scheme, kRows, kCols, {}, at::kCPU);
  found.fit(x_, 1);
  const StoredMatrix stored = found.stored(x_);
  const at::Tensor values = stored.values(), begun = matrix.begin(stored, x_, 1);
  EXPECT_TRUE(at::equal(begun, x_)) << "it was merely rounded";
  EXPECT_TRUE(at::equal(matrix.seen(begun), values));
  EXPECT_TRUE(at::equal(matrix.stored(begun).bytes(), stored.bytes()));
  matrix.recode(begun, 1);
  EXPECT_TRUE(at::equal(matrix.seen(begun), values)) << "nothing is tipped before anything has learned";
  const at::Tensor elsewhere = x_ + 0.2 * at::randn({kRows, kCols});
  found.recode(elsewhere, 1);
  const StoredMatrix moved = found.stored(elsewhere);
  const at::Tensor middle = matrix.begin(moved, x_, 1);
  EXPECT_TRUE(at::equal(middle, moved.values())) << "somebody searched";
  EXPECT_TRUE(at::equal(matrix.stored(middle).bytes(), moved.bytes()));
}

TEST_P(Joint, ScalesLearnWithCodesAsTheyAre) {
  const Scheme scheme = Scheme::parse(GetParam());
  TrainedMatrix fixed(scheme, kRows, kCols, {}, at::kCPU),
      matrix(scheme, kRows, kCols, {}, at::kCPU, ScalesLearn::kInPlace);
  fixed.fit(x_, 1);
  const StoredMatrix stored = fixed.stored(x_);
  const at::Tensor begun = matrix.begin(stored, x_, 1).set_requires_grad(true);
  ASSERT_TRUE(matrix.learns_places());
  const at::Tensor seen = matrix.seen(begun);
  EXPECT_TRUE(at::equal(seen, stored.values()));
  const at::Tensor d = matrix.learned_steps()->leaves()[0].value, steps = matrix.learned_steps()->leaves()[1].value;
  const at::Tensor upstream = at::randn({kRows, kCols});
  const auto got = torch::autograd::grad({seen}, {begun, d}, {upstream});
  // Values are proportional to the number of their block.
  const at::Tensor of_blocks = (upstream * seen).detach().reshape({kRows, -1, 256}).sum(-1, true);
  EXPECT_LT((got[1] - of_blocks).abs().max().item<float>(), 1e-5f * of_blocks.abs().max().item<float>());
  EXPECT_GT(got[0].abs().min().item<float>(), 0.0f);

  // Integers go through the ladder that is stored, and what is seen is what is exported.
  steps.detach().add_(3.2 * at::randn_like(steps));
  d.detach().mul_(1.0 + 0.1 * at::rand_like(d));
  matrix.learned_steps()->bound();
  const at::Tensor now = matrix.seen(begun).detach();
  EXPECT_FALSE(at::equal(now, stored.values()));
  EXPECT_TRUE(at::equal(now, matrix.stored(begun).values()));
  matrix.recode(begun.detach(), 1);
  EXPECT_TRUE(at::equal(matrix.seen(begun).detach(), matrix.stored(begun).values()));
}

INSTANTIATE_TEST_SUITE_P(Schemes, Joint,
                         ::testing::Values("gguf:iq3_s", "gguf:iq3_xxs", "gguf:iq2_s", "gguf:iq2_xs", "gguf:iq2_xxs"),
                         [](const auto& info) { return std::string(info.param).substr(5); });

}  // namespace
}  // namespace vernier
