// domain_bench MODEL CALIBRATION_TEXT golden.json WINDOWS,... SCHEME_A SCHEME_B TEXT...: a ranking belongs to a text: what
// buys back some of what is lost where the exact damages are of another one. A line for each, Spearman over matrices and
// over parts with golden.json's two schemes:
//
//   each TEXT alone, the smallest number of windows
//   all of them as domains that share as many windows, and more
//   the last one with 4, 8, 16 and 32 of the matrices that are foretold to hurt most measured exactly, the rest scaled by
//   the mean of log(exact / foretold) of those

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>

#include "base/fail.h"
#include "base/json.h"
#include "base/statistics.h"
#include "cpu_seconds.h"
#include "golden.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, calibration_text, golden;
  std::vector<int64_t> windows;
  std::vector<std::string> schemes, texts;
};

bool is_part(const Component& c) {
  return c.kind == ComponentKind::kHead || c.kind == ComponentKind::kKvHead || c.kind == ComponentKind::kFfn;
}

/// Foretold and exact damages of the components that the golden file has, nats per token.
struct Pairs {
  std::vector<double> foretold, exact;
};

double agreement(const Pairs& pairs) { return spearman(pairs.foretold, pairs.exact); }

class Domains {
 public:
  explicit Domains(const Arguments& a)
      : a_(a),
        model_(load_model(a.model)),
        tokenizer_(load_tokenizer_of(a.model)),
        golden_(read_json(a.golden)),
        calibration_(calibrate(model_, windows(a.calibration_text, 64))) {
    configure_process(resolve_threads({}));
  }

  void run() {
    const int64_t least = a_.windows.front();
    for (const std::string& text : a_.texts) line(fmt::format("{} of {}", least, text), screened({text}, least));
    for (const int64_t count : a_.windows) line(fmt::format("{} of all", count), screened(a_.texts, count));
    for (const size_t measured : {4, 8, 16, 32}) {
      fmt::print("{:<40}", fmt::format("{} matrices of each scheme measured", measured));
      for (size_t s = 0; s < a_.schemes.size(); ++s)
        fmt::print("  {}: matrices {:.3f}", a_.schemes[s], agreement(confirmed(pairs(s, false), measured)));
      fmt::print("\n");
    }
  }

 private:
  EvaluationData windows(const std::string& path, int64_t count) const {
    return text_windows(tokenizer_, path, read_text_file(path).text,
                        {.context = 512, .max_windows = count, .score_all = true, .spread = true});
  }

  /// CPU seconds that it took.
  double screened(const std::vector<std::string>& texts, int64_t count) {
    std::vector<ScreenText> domains;
    for (const std::string& text : texts)
      domains.push_back({text, windows(text, std::max<int64_t>(2, count / static_cast<int64_t>(texts.size())))});
    const Seconds seconds =
        seconds_of([&] { screen_ = screen(model_, calibration_, domains, {.schemes = a_.schemes, .kfac_rows = 0}); });
    return seconds.cpu;
  }

  /// Mean over the domains of what the screen foretells.
  double foretold(const Component& c, size_t scheme) const {
    double sum = 0;
    for (size_t d = 0; d < screen_.domains.size(); ++d)
      sum += screen_.at(c, screen_.schemes[scheme], "predicted_kl", d).mean;
    return sum / static_cast<double>(screen_.domains.size());
  }

  Pairs pairs(size_t scheme, bool parts) const {
    Pairs found;
    for (const ComponentDamage& d : golden_damages(golden_, scheme == 0 ? "A" : "B", screen_.components))
      if (is_part(d.component) == parts) {
        found.foretold.push_back(foretold(d.component, scheme));
        found.exact.push_back(d.kl.mean);
      }
    return found;
  }

  static Pairs confirmed(Pairs pairs, size_t measured) {
    std::vector<size_t> order(pairs.foretold.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return pairs.foretold[a] > pairs.foretold[b]; });
    measured = std::min(measured, order.size());
    double logs = 0;
    for (size_t i = 0; i < measured; ++i) logs += std::log(pairs.exact[order[i]] / pairs.foretold[order[i]]);
    const double factor = std::exp(logs / static_cast<double>(measured));
    for (size_t i = 0; i < order.size(); ++i) {
      double& value = pairs.foretold[order[i]];
      value = i < measured ? pairs.exact[order[i]] : factor * value;
    }
    return pairs;
  }

  void line(const std::string& name, double seconds) const {
    fmt::print("{:<40}", name);
    for (size_t s = 0; s < a_.schemes.size(); ++s)
      fmt::print("  {}: matrices {:.3f} parts {:.3f}", a_.schemes[s], agreement(pairs(s, false)),
                 agreement(pairs(s, true)));
    fmt::print("  {:.0f} CPU s\n", seconds);
    std::fflush(stdout);
  }

  const Arguments& a_;
  const Model model_;
  const Tokenizer tokenizer_;
  const Json golden_;
  const Calibration calibration_;
  Screen screen_;
};

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  if (argc < 8) {
    fmt::print(stderr,
               "usage: domain_bench MODEL CALIBRATION_TEXT golden.json WINDOWS,... SCHEME_A SCHEME_B TEXT...\n");
    return 2;
  }
  vernier::Arguments a{argv[1], argv[2], argv[3], {}, {argv[5], argv[6]}, {argv + 7, argv + argc}};
  std::stringstream counts(argv[4]);
  for (std::string each; std::getline(counts, each, ',');) a.windows.push_back(std::atoll(each.c_str()));
  try {
    vernier::Domains(a).run();
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "domain_bench: {}\n", e.what());
    return 1;
  }
}
