#include "reliability/feature_spectrum.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "reliability/image_features.h"
#include "support/vision_models.h"

namespace vernier {
namespace {

TEST(FeatureSpectrum, BandsAreOctavesUpToTheRank) {
  const auto lasts = [](int64_t examples, int64_t width) {
    std::vector<int64_t> values;
    at::manual_seed(1);
    const FeatureSpectrum spectrum(at::randn({examples, width}));
    for (const auto& band : spectrum.bands()) values.push_back(band.last);
    return values;
  };
  EXPECT_EQ(lasts(50, 8), (std::vector<int64_t>{1, 2, 4, 8}));
  EXPECT_EQ(lasts(50, 11), (std::vector<int64_t>{1, 2, 4, 8, 11}));
  EXPECT_EQ(lasts(6, 11), (std::vector<int64_t>{1, 2, 4, 5})) << "six examples leave five directions about their mean";
}

TEST(FeatureSpectrum, EnergiesAreThoseOfTheSingularDirections) {
  at::manual_seed(2);
  const at::Tensor features = at::randn({40, 6}, at::kDouble) * at::tensor({9.0, 5.0, 3.0, 2.0, 1.0, 0.5}) + 4;
  const FeatureSpectrum spectrum(features);
  const at::Tensor deviations = features - features.mean(0);
  const auto [u, s, v] = at::linalg_svd(deviations, false);
  const at::Tensor signal = spectrum.energies(spectrum.centred(features)).sum(0), squares = s.square();
  const std::vector<double> expected{squares[0].item<double>(), squares[1].item<double>(),
                                     squares.narrow(0, 2, 2).sum().item<double>(),
                                     squares.narrow(0, 4, 2).sum().item<double>()};
  for (int64_t b = 0; b < 4; ++b)
    EXPECT_NEAR(signal[b].item<double>(), expected[static_cast<size_t>(b)], 1e-9 * expected[0]) << b;
  const at::Tensor noise = at::randn({40, 6}, at::kDouble);
  EXPECT_NEAR(spectrum.energies(noise).sum().item<double>(), noise.square().sum().item<double>(), 1e-9)
      << "directions are a basis";
  EXPECT_LT((spectrum.kept(features, 6) - features).abs().max().item<double>(), 1e-12);
  const at::Tensor two = at::matmul(u.narrow(1, 0, 2) * s.narrow(0, 0, 2), v.narrow(0, 0, 2)) + features.mean(0);
  EXPECT_LT((spectrum.kept(features, 2) - two).abs().max().item<double>(), 1e-10);
}

TEST(ImageFeatures, TheirLogitsAreTheModels) {
  for (const char* name : {"vit", "deit_distilled"}) {
    const Model model = load_model(vision_fixture(name).string());
    const at::Tensor pixels = tensor_in(SafetensorsFile(vision_fixture(name) / "golden.safetensors"), "pixel_values");
    const auto engine = make_engine({.threads = 1});
    const std::vector<std::string> classes(static_cast<size_t>(model.config().read_out.classes), "class");
    const ImageClassifier classifier(model, classes, {}, *engine);
    const ImageFeatures features(classifier);
    const at::Tensor logits = features.logits(features.of(pixels));
    for (int64_t i = 0; i < pixels.size(0); ++i) {
      const at::Tensor expected = at::tensor(classifier.logits(0, pixels_of(pixels, i))).to(at::kDouble);
      EXPECT_LT(relative_distance(logits[i], expected), 2e-5) << name << " " << i;  // both in float32
    }
  }
}

}  // namespace
}  // namespace vernier
