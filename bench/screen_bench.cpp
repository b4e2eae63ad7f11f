// screen_bench MODEL CALIBRATION_TEXT TEXT [windows [skip [golden.json [rounds]]]] -- SCHEME...: how well a screen of TEXT ranks, and
// what it costs in differentiable forward passes over the same windows, made in the same run.
//
// Exact damages come from an isolated sweep of half as many other windows of TEXT, or from a golden.json of another
// implementation (components by GGUF's names, part 3), made of the first `skip` windows. A line per scheme: Spearman and
// the ratio of totals of each estimator.

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string_view>
#include <vector>

#include "base/fail.h"
#include "base/json.h"
#include "engine/aten_model.h"
#include "golden.h"
#include "ops/parallel.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

/// Of all threads: on a busy machine elapsed time does not compare.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct Arguments {
  std::string model, calibration_text, text, golden;
  int64_t windows = 32, skip = 16;
  int rounds = 3;
  std::vector<std::string> schemes;
};

/// What is screened, and what is swept exactly.
struct Texts {
  EvaluationData screened, exact;
};

/// Without a golden file: windows evenly spaced over the text, every third one for the sweep, so that the two are of one
/// domain and share nothing. With one, whose sweep was of the first `skip`: evenly spaced over those after them, or with
/// none skipped the first ones.
Texts texts_of(const Tokenizer& tokenizer, const Arguments& a) {
  const bool golden = !a.golden.empty();
  const int64_t wanted = golden ? (a.skip > 0 ? 0 : a.windows) : a.windows + a.windows / 2;
  const EvaluationData all =
      text_windows(tokenizer, a.text, golden ? golden_text(a.text) : read_text_file(a.text).text,
                   {.context = 512, .max_windows = wanted, .score_all = true, .spread = !golden});
  Texts texts{all, all};
  texts.screened.windows.clear();
  texts.exact.windows.clear();
  const auto count = static_cast<int64_t>(all.windows.size());
  if (golden)
    for (int64_t w = 0; w < std::min(a.windows, count - a.skip); ++w)
      texts.screened.windows.push_back(
          all.windows[static_cast<size_t>(a.skip + w * (count - a.skip) / std::min(a.windows, count - a.skip))]);
  else
    for (int64_t w = 0; w < count; ++w)
      (w % 3 == 2 ? texts.exact : texts.screened).windows.push_back(all.windows[static_cast<size_t>(w)]);
  if (golden)
    for (TokenWindow& window : texts.exact.windows) window.first_row = 256;  // the half that was scored there
  if (texts.screened.windows.size() < 2)
    fail(ErrorKind::kInvalidArgument, "{}: {} windows: name a longer text", a.text, count);
  return texts;
}

/// What a training step's first half costs: logits and the loss of every window, ready to be differentiated.
double differentiable_forward(const Model& model, const EvaluationData& data, int threads) {
  const Model wide = to_float32(model, /*requires_grad=*/true);
  const double start = cpu_seconds();
  parallel_for(static_cast<int64_t>(data.windows.size()), threads, [&](int64_t w, int) {
    const c10::AutoGradMode with_gradients(true);
    const TokenWindow& window = data.windows[static_cast<size_t>(w)];
    language_model_loss(
        wide, at::tensor(std::vector<int64_t>(window.tokens.begin(), window.tokens.end()), at::kLong).unsqueeze(0));
  });
  return cpu_seconds() - start;
}

Diagnosis golden_diagnosis(const std::string& path, const std::string& part, const Screen& screen,
                           const std::string& scheme) {
  Diagnosis d;
  d.model_hash = screen.model_hash;
  d.scheme = scheme;
  d.components = golden_damages(read_json(path), part, screen.components);
  return d;
}

void print_line(const Screen& s, const Diagnosis& d, const std::string& model, const std::string& scheme) {
  fmt::print("{} {}:", model, scheme);
  const auto rows = compare_estimators(s, d);
  for (const char* estimator : {"diagonal", "directional", "kfac", "predicted_kl", "weight_mse"})
    for (const EstimatorAgreement& row : rows)
      if (row.estimator == estimator && (row.components == "matrices" || row.components == "parts"))
        fmt::print(" {} {} {:.3f}/{:.2f}", row.components, estimator, row.spearman.value, row.ratio_of_totals);
  fmt::print("\n");
}

void run(const Arguments& a) {
  const ComputeOptions compute;
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const Texts texts = texts_of(tokenizer, a);
  const EvaluationData& data = texts.screened;
  const Calibration calibration =
      calibrate(model,
                text_windows(tokenizer, a.calibration_text, read_text_file(a.calibration_text).text,
                             {.context = 512, .max_windows = 64, .score_all = true, .spread = true}),
                compute);
  std::optional<Screen> all;
  const auto timed = [&](const std::vector<std::string>& schemes, const EvaluationData& text) {
    const double start = cpu_seconds();
    all = screen(model, calibration, {{"own", text}}, {.schemes = schemes, .compute = compute});
    return cpu_seconds() - start;
  };
  EvaluationData few = data;
  few.windows.resize(2);
  timed({a.schemes[0]}, few);  // code generation and first touch
  differentiable_forward(model, few, threads);
  fmt::print("{}: {} windows, {} threads; CPU seconds in turns:\n", model.source().name, data.windows.size(), threads);
  for (int round = 0; round < a.rounds; ++round) {
    const double forward = differentiable_forward(model, data, threads);
    const double one = timed({a.schemes[0]}, data);
    const double every = a.schemes.size() > 1 ? timed(a.schemes, data) : one;
    const double more = (every - one) / std::max<double>(1, static_cast<double>(a.schemes.size()) - 1);
    fmt::print("  differentiable forward {:.2f}, screen of {} {:.2f} = {:.2f} forwards, {:.2f} more a scheme\n",
               forward, a.schemes[0], one, one / forward, more / forward);
    std::fflush(stdout);
  }
  if (a.rounds == 0) timed(a.schemes, data);
  const Measured& ratio = all->domains[0].scales.at("all").ratio;
  fmt::print("  directional / diagonal {:.3f} ± {:.3f}\n", ratio.mean, ratio.standard_error);
  for (size_t i = 0; i < a.schemes.size(); ++i) {
    const std::string& scheme = all->schemes[i];
    if (a.golden.empty()) {
      DiagnoseOptions options;
      options.scheme = scheme;
      options.joint = false;
      options.compute = compute;
      print_line(*all, diagnose(model, calibration, texts.exact, options), model.source().name, scheme);
    } else if (i < 2) {
      print_line(*all, golden_diagnosis(a.golden, i == 0 ? "A" : "B", *all, scheme), model.source().name, scheme);
    }
    std::fflush(stdout);
  }
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  std::vector<std::string> plain;
  bool schemes = false;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--")
      schemes = true;
    else
      (schemes ? a.schemes : plain).emplace_back(argv[i]);
  }
  if (plain.size() > 3) a.windows = std::atoll(plain[3].c_str());
  if (plain.size() > 4) a.skip = std::atoll(plain[4].c_str());
  if (plain.size() > 5) a.golden = plain[5];
  if (plain.size() > 6) a.rounds = std::atoi(plain[6].c_str());
  if (plain.size() < 3 || plain.size() > 7 || a.schemes.empty() || a.windows < 2 || a.skip < 0) {
    fmt::print(
        stderr,
        "usage: screen_bench MODEL CALIBRATION_TEXT TEXT [windows [skip [golden.json [rounds]]]] -- SCHEME...\n");
    return 2;
  }
  a.model = plain[0], a.calibration_text = plain[1], a.text = plain[2];
  try {
    vernier::run(a);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "screen_bench: {}\n", e.what());
    return 1;
  }
}
