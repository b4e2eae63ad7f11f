#include "engine/cached_forward.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "engine/aten_model.h"
#include "support/expect_error.h"
#include "support/models.h"

namespace vernier {
namespace {

class Cached : public ::testing::TestWithParam<std::string> {};

/// Of every architecture: learned positions, windows shorter than the text, sinks, caps, parallel layers, experts.
TEST_P(Cached, TokenByTokenAnswersAreThoseOfWholeTexts) {
  const Model model = to_float32(fixture_model(GetParam()));
  if (!model.config().is_language_model()) GTEST_SKIP() << "no language model";
  constexpr int64_t kTexts = 3, kTime = 24;
  at::manual_seed(5);
  const at::Tensor ids = at::randint(model.config().vocabulary, {kTexts, kTime}, at::kLong);
  const at::Tensor whole = forward_logits(model, ids);
  const AtenModel ready(model, kTime);
  CachedForward cached(ready, kTexts, kTime);
  int64_t done = 0;
  for (const int64_t fresh : {5, 1, 1, 3, 1, 1, 1, 8, 1, 1, 1}) {
    const at::Tensor logits = cached.next(ids.narrow(1, done, fresh));
    done += fresh;
    const at::Tensor wanted = whole.select(1, done - 1);
    // Float32 sums in another order, which experts near a tie of their shares may amplify.
    EXPECT_LT((logits - wanted).abs().max().item<float>(), 1e-4f * wanted.abs().max().item<float>()) << done;
  }
  ASSERT_EQ(done, kTime);
  expect_error(ErrorKind::kInvalidArgument, {"at most 24"}, [&] { cached.next(ids.narrow(1, 0, 1)); });
}

INSTANTIATE_TEST_SUITE_P(Models, Cached, ::testing::ValuesIn(fixture_names()),
                         [](const auto& info) { return info.param; });

TEST(Cached, SaysWhatATextTakes) {
  const Model model = fixture_model("llama");
  const ModelConfig& config = model.config();
  const AttentionConfig& attention = config.layer(0).attention;
  EXPECT_EQ(CachedForward::bytes_per_text(config, 10), config.depth() * 2 * attention.kv_columns() * 10 * 4);
}

}  // namespace
}  // namespace vernier
