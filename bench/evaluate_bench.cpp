// evaluate_bench MODEL TEXT [--context 512] [--windows 16] [--repeats 5] [--bf16] [--paced]: what a full forward and its
// next-token scores cost, as in `evaluate` without a reference, but for loading and packing the weights.
// --paced: in turns with llama.cpp, see llama_cpp/pairs.mjs.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "cpu_seconds.h"
#include "engine/engine.h"
#include "forward_pass.h"
#include "ops/packed_linear.h"
#include "ops/parallel.h"
#include "vernier/error.h"
#include "vernier/evaluate.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, text;
  int64_t context = 512, windows = 16;
  int repeats = 5;
  bool bf16 = false, paced = false;
};

void run(const Arguments& a) {
  ComputeOptions compute;
  if (a.bf16) compute.type = ComputeType::kBFloat16;
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(a.model);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const EvaluationData data =
      text_windows(tokenizer, a.text, read_text_file(a.text).text, {.context = a.context, .max_windows = a.windows});
  const auto tokens = static_cast<double>(data.windows.size()) * static_cast<double>(data.context);
  fmt::print("{}: {} windows of {} tokens, {} scored, {} threads, {}, {}\n", model.source().name, data.windows.size(),
             data.context, data.scored_tokens(), threads, a.bf16 ? "bf16" : "f32", matmul_backend());
  const std::unique_ptr<Engine> engine = make_engine(compute);
  const auto ready = engine->prepare(model, {.type = compute.type, .positions = data.longest()});
  double nll = forward_pass(*engine, *ready, data);  // code generation and first touch
  Seconds best;
  for (int repeat = 0; repeat < a.repeats; ++repeat) {
    const Seconds pass = seconds_of([&] { nll = forward_pass(*engine, *ready, data); });
    best = least(best, pass);
    take_turns(a.paced, "evaluate", pass, 1);
  }
  fmt::print("evaluate   {:9.3f} s {:9.3f} CPU s, {:.0f} tok/s; the best of {}, {:.17g} nats\n", best.wall, best.cpu,
             tokens / best.wall, a.repeats, nll);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("What evaluating a text costs");
  app.add_option("MODEL", a.model)->required();
  app.add_option("TEXT", a.text)->required();
  app.add_option("--context", a.context);
  app.add_option("--windows", a.windows);
  app.add_option("--repeats", a.repeats)->check(CLI::PositiveNumber);
  app.add_flag("--bf16", a.bf16);
  app.add_flag("--paced", a.paced, "After each pass wait for a line on standard input");
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
    return 0;
  } catch (const vernier::Error& e) {
    fmt::print(stderr, "evaluate_bench: {}\n", e.what());
    return 1;
  }
}
