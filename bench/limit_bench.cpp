// limit_bench MODEL CALIBRATION_TEXT TEXT [windows [context [other_bytes [bytes...]]]]: the rate-distortion limit of
// MODEL, with covariances of TEXT, at files of these sizes of which `other_bytes` are no matrices; and what it took
// beside a screen without it. A line per size, and one with the seconds.

#include <fmt/format.h>

#include <cstdlib>

#include "cpu_seconds.h"
#include "vernier/calibrate.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, calibration_text, text;
  int64_t windows = 0, context = 512;
  double other_bytes = 0;
  std::vector<double> bytes;
};

void run(const Arguments& a) {
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(a.model));
  const auto windows = [&](const std::string& path, int64_t count) {
    return text_windows(tokenizer, path, read_text_file(path).text,
                        {.context = a.context, .max_windows = count, .score_all = true, .spread = true});
  };
  const Calibration calibration = calibrate(model, windows(a.calibration_text, 8));
  const EvaluationData text = windows(a.text, a.windows);
  ScreenOptions options{.schemes = {"int4:channel:sym"}, .kfac_rows = 0};
  Screen s;
  const auto seconds = [&](bool limit) {
    options.limit = limit;
    return seconds_of([&] { s = screen(model, calibration, {{"text", text}}, options); });
  };
  const Seconds without = seconds(false), with = seconds(true);
  for (const double bytes : a.bytes) {
    const double nats = limit_kl(*s.limit, bytes - a.other_bytes);
    fmt::print("{:.0f} bytes: limit {:.5f} nats, {:.5f} with a scalar grid\n", bytes, nats,
               LimitShares::kScalarGrid * nats);
  }
  fmt::print(
      "{}: {} windows of {} tokens; screen {:.1f} s of CPU time, with the limit {:.1f} s, of "
      "which eigenvalues were foretold to take {:.1f} s\n",
      model.source().name, text.windows.size(), a.context, without.cpu, with.cpu, limit_core_seconds(model));
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: limit_bench MODEL CALIBRATION_TEXT TEXT [windows [context [other_bytes [bytes...]]]]\n");
    return 2;
  }
  vernier::Arguments a{argv[1], argv[2], argv[3], 0, 512, 0, {}};
  if (argc > 4) a.windows = std::atoll(argv[4]);
  if (argc > 5) a.context = std::atoll(argv[5]);
  if (argc > 6) a.other_bytes = std::atof(argv[6]);
  for (int i = 7; i < argc; ++i) a.bytes.push_back(std::atof(argv[i]));
  try {
    vernier::run(a);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "limit_bench: {}\n", e.what());
    return 1;
  }
}
