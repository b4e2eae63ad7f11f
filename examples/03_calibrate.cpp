// 03_calibrate MODEL TEXT OUT: what the linear layers are fed, stored as OUT/calibration.safetensors.

#include <algorithm>

#include "example.h"
#include "vernier/calibrate.h"

namespace {

void calibrate(char** argv) {
  const vernier::Model model = vernier::load_model(argv[1]);
  const vernier::Tokenizer tokenizer(vernier::load_tokenizer_of(model.source().path));
  const vernier::EvaluationData data = vernier::text_windows(tokenizer, argv[2], vernier::read_text_file(argv[2]).text,
                                                             {.context = 256, .max_windows = 32, .score_all = true});

  const vernier::Calibration calibration = vernier::calibrate(model, data);
  std::printf("%lld tokens seen at %zu sites\n", static_cast<long long>(calibration.tokens), calibration.sites.size());

  // Outlier channels: inputs far louder than the median one of their site cost the most when they are rounded.
  for (const auto& [site, channels] : calibration.sites) {
    std::vector<float> power = channels.mean_square;
    const auto middle = power.begin() + static_cast<std::ptrdiff_t>(power.size() / 2);
    std::nth_element(power.begin(), middle, power.end());
    const float median = *middle, loudest = *std::max_element(power.begin(), power.end());
    std::printf("%-20s %5zu channels, loudest %7.1f times the median power\n", vernier::name_of(site).c_str(),
                power.size(), static_cast<double>(loudest / median));
  }
  // Bound to the model by its content hash: later stages refuse it for another one.
  vernier::save_calibration(calibration, std::string(argv[3]) + "/calibration.safetensors");
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "MODEL TEXT OUT", calibrate); }
