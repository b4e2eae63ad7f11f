#include "calibrate/gram_pass.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/models.h"

namespace vernier {
namespace {

TEST(GramPass, ItsDiagonalIsWhatCalibrationCountsWhateverTheThreadsAndTheOrder) {
  for (const char* name : {"llama", "qwen3"}) {
    const Model model = fixture_model(name);
    const Calibration calibration = calibrate(model, made_up_windows(7, 16, 300));
    GramPass one(model, calibration, 1), two(model, calibration, 2);
    const int last = model.config().depth() - 1;
    for (const int layer : {0, last, 0}) {
      for (const auto& [site, statistics] : calibration.sites) {
        if (site.layer != layer) continue;
        const InputGrams* grams = one.at(site);
        ASSERT_NE(grams, nullptr) << name_of(site);
        ASSERT_EQ(grams->parts.size(), 5u);
        at::Tensor all = at::zeros_like(grams->parts[0]);
        const double tokens[] = {2, 1, 2, 1, 1};  // windows of each part: 7 cut into 5
        for (size_t part = 0; part < 5; ++part) {
          EXPECT_TRUE(at::equal(grams->parts[part], two.at(site)->parts[part]));
          EXPECT_TRUE(at::equal(grams->parts[part], grams->parts[part].t()));
          all += grams->parts[part] * tokens[part] / 7;
        }
        EXPECT_TRUE(at::allclose(all.diagonal(), at::tensor(statistics.mean_square), 1e-4, 1e-7)) << name_of(site);
      }
    }
  }
}

TEST(GramPass, PartsAreTheJoinedTextsOrConsecutivePieces) {
  std::vector<CalibrationWindow> text(6);
  EXPECT_EQ(parts_of(text), (std::vector<size_t>{0, 0, 1, 2, 3, 4}));
  for (size_t w = 0; w < 6; ++w) text[w].part = w < 2 ? 1 : 4;
  EXPECT_EQ(parts_of(text), (std::vector<size_t>{0, 0, 1, 1, 1, 1}));
}

TEST(GramPass, ACalibrationWithoutTextSaysSo) {
  const Model model = fixture_model("llama");
  Calibration calibration = calibrate(model, made_up_windows(2, 16, 300));
  calibration.text.clear();
  EXPECT_THROW(GramPass(model, calibration, 1), Error);
}

}  // namespace
}  // namespace vernier
