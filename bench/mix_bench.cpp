// mix_bench MODEL --text FILE [options; see --help]: files of at most the bytes of llama.cpp's mixes, the parts of what makes
// ours better apart. For every size a line each:
//
//   preset               llama.cpp's choice of schemes, values by our importance-weighted encoder
//   values               the same schemes, values by --method
//   allocation           planned schemes, values by importance
//   both                 planned schemes, values by --method
//   both, codebooks      with iq2, iq3 and iq4_xs among the candidates, unless left out
//
// (--best-only: the first and the last two of them) and, with --over, the same plans at a budget over uniform q4_k beside that file. With --documents, the best of ours beside
// llama.cpp's file of the preset (--rival) group by group of documents, or beside its choice of schemes with our values.
// With --output every file is kept, and what is measured is read back from it (llama_cpp/file_pairs.mjs takes them on).

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>

#include "base/fail.h"
#include "base/text_table.h"
#include "cpu_seconds.h"
#include "data/named_texts.h"
#include "paired_groups.h"
#include "vernier/error.h"
#include "vernier/evaluate.h"
#include "vernier/export.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, text, method = "auto", over = "+10%";
  std::vector<std::string> calibration_texts, sizes = {"q4_k_m", "q3_k_m", "q2_k", "iq2_m"}, rivals;
  std::string documents, document_filter, output;
  int64_t windows = 0, calibration_windows = 128, screen_windows = 32, context = 512;
  int threads = 0;
  bool no_codebooks = false, best_only = false;
};

/// A preset, the bytes that ours may have, and the KL of the best file of those bytes that llama.cpp makes.
struct Size {
  std::string preset;
  uint64_t bytes = 0;
  double rival_kl = 0;
};

/// NAME[=BYTES[:KL]]
Size parse_size(const std::string& text) {
  Size size;
  const size_t equals = text.find('='), colon = text.find(':');
  size.preset = text.substr(0, equals);
  if (equals != std::string::npos)
    size.bytes = Budget::parse(text.substr(equals + 1, colon - equals - 1)).bytes(0, 1, 0);
  if (colon != std::string::npos) size.rival_kl = std::stod(text.substr(colon + 1));
  return size;
}

class Mixes {
 public:
  explicit Mixes(const Arguments& arguments)
      : a_(arguments),
        compute_{.threads = a_.threads},
        threads_(resolve_threads(compute_)),
        model_(load_model(a_.model)),
        words_(load_tokenizer_of(model_.source().path)),
        tokenizer_(words_) {
    configure_process(threads_);
  }

  void run() {
    const TokenizedText read = calibration_text(tokenizer_, a_.calibration_texts, nullptr);
    calibration_ = calibrate(model_, calibration_windows(read, a_.context, a_.calibration_windows, nullptr), compute_);
    text_ = evaluation_windows(tokenizer_, {a_.text}, {.context = a_.context, .max_windows = a_.windows}, nullptr);
    if (!a_.documents.empty())
      documents_ = document_windows(tokenizer_, a_.documents, read_documents(a_.documents, a_.document_filter),
                                    {.context = a_.context});
    ScreenOptions options;
    options.schemes = planning_rules("llama.cpp", !a_.no_codebooks).schemes;
    options.kinds = {ComponentKind::kTensor, ComponentKind::kEmbed, ComponentKind::kLmHead};
    options.kfac_rows = 0;
    options.compute = compute_;
    const Seconds seconds = seconds_of([&] {
      damage_ = damage_table(
          model_,
          screen(model_, calibration_,
                 {{"calibration", calibration_windows(read, a_.context, a_.screen_windows, nullptr)}}, options));
    });
    fmt::print("{}: calibrated on {} tokens of {}, screened on {} windows in {:.0f} CPU s; {} tokens scored of {}\n",
               model_.source().name, calibration_.tokens, calibration_.data_name, a_.screen_windows, seconds.cpu,
               text_.scored_tokens(), text_.name);
    for (const std::string& each : a_.sizes) of_size(parse_size(each));
    if (!a_.over.empty()) over_uniform();
  }

 private:
  uint64_t bytes_of(const Plan& plan) const { return find_target("llama.cpp").file_bytes(model_, plan, words_, {}); }

  struct Made {
    Model model;
    double kl = 0;
  };

  /// In memory, or read back from the file that --output keeps.
  Model made_by(const Plan& plan, const std::string& file) const {
    const QuantizedModel quantized = quantize(model_, calibration_, plan, threads_);
    if (a_.output.empty()) return quantized.in_memory(nullptr);
    const std::filesystem::path path = std::filesystem::path(a_.output) / (file + ".gguf");
    export_model(find_target("llama.cpp"), quantized, words_, path, {}, nullptr);
    return load_model(path);
  }

  Made add(const std::string& size, const std::string& label, Plan plan, const std::string& method, double rival) {
    plan.method = method;
    std::optional<Model> made;
    const Seconds seconds = seconds_of([&] { made = made_by(plan, size + " " + label); });
    const Measured kl = evaluate({&*made}, &model_, text_, {compute_})[0].all.kl();
    fmt::print("  {:<18} {:<11} {:>12} bytes  KL {:.5f} ± {:.5f}{}  {:.0f} CPU s\n", label, method, bytes_of(plan),
               kl.mean, kl.standard_error, rival > 0 ? fmt::format("  {:.3f}", kl.mean / rival) : "", seconds.cpu);
    std::fflush(stdout);
    return {*made, kl.mean};
  }

  Plan planned(const std::string& budget, bool codebooks) const {
    return plan_within(model_, words_, damage_, budget, {.codebooks = codebooks});
  }

  void of_size(const Size& size) {
    const Plan preset = plan_preset(model_, size.preset);
    const uint64_t bytes = size.bytes > 0 ? size.bytes : bytes_of(preset);
    const std::string budget = std::to_string(bytes);
    fmt::print("{}: at most {} bytes{}\n", size.preset, bytes,
               size.rival_kl > 0 ? fmt::format("; llama.cpp's best file of those: {:.4f}", size.rival_kl) : "");
    const Made own = add(size.preset, "preset", preset, "importance", size.rival_kl);
    const double rival = size.rival_kl > 0 ? size.rival_kl : own.kl;
    if (!a_.best_only) {
      add(size.preset, "values", preset, a_.method, rival);
      add(size.preset, "allocation", planned(budget, false), "importance", rival);
    }
    Made best = add(size.preset, "both", planned(budget, false), a_.method, rival);
    if (!a_.no_codebooks)
      if (Made other = add(size.preset, "both, codebooks", planned(budget, true), a_.method, rival); other.kl < best.kl)
        best = std::move(other);
    if (documents_) by_document(best.model, size.preset, own.model);
  }

  void by_document(const Model& ours, const std::string& preset, const Model& ours_of_preset) const {
    for (const std::string& rival : a_.rivals) {
      if (!rival.starts_with(preset + "=")) continue;
      const Model theirs = load_model(rival.substr(preset.size() + 1));
      return print_paired_groups(paired_groups(model_, ours, theirs, *documents_, compute_), "llama.cpp's");
    }
    print_paired_groups(paired_groups(model_, ours, ours_of_preset, *documents_, compute_), "the preset's");
  }

  void over_uniform() {
    fmt::print("{} over uniform gguf:q4_k\n", a_.over);
    const double uniform = add("over", "uniform q4_k", plan_uniform(model_, "gguf:q4_k"), "importance", 0).kl;
    add("over", "values", plan_uniform(model_, "gguf:q4_k"), a_.method, uniform);
    add("over", "allocation", planned(a_.over, false), "importance", uniform);
    add("over", "both", planned(a_.over, false), a_.method, uniform);
    if (!a_.no_codebooks) add("over", "both, codebooks", planned(a_.over, true), a_.method, uniform);
  }

  const Arguments& a_;
  const ComputeOptions compute_;
  const int threads_;
  const Model model_;
  const TokenizerModel words_;
  const Tokenizer tokenizer_;
  Calibration calibration_;
  EvaluationData text_;
  std::optional<EvaluationData> documents_;
  DamageTable damage_;
};

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("Files of at most the bytes of llama.cpp's mixes: what allocation, values and both give");
  app.add_option("MODEL", a.model)->required();
  app.add_option("--text", a.text, "Text to evaluate on")->required();
  app.add_option("--windows", a.windows, "Of it; 0: all");
  app.add_option("--calibration-text", a.calibration_texts, "Built-in by default");
  app.add_option("--calibration-windows", a.calibration_windows);
  app.add_option("--screen-windows", a.screen_windows);
  app.add_option("--sizes", a.sizes, "NAME[=BYTES[:KL]]: a preset, the bytes to keep to, the KL to compare with")
      ->delimiter(',');
  app.add_option("--documents", a.documents, "JSON lines with text and group: ours beside theirs by group");
  app.add_option("--document-filter", a.document_filter, "KEY=VALUE: of these lines");
  app.add_option("--rival", a.rivals, "PRESET=FILE.gguf, as llama.cpp made it; several");
  app.add_option("--over", a.over, "Budget over uniform q4_k; \"\": none");
  app.add_option("--method", a.method);
  app.add_flag("--no-codebooks", a.no_codebooks);
  app.add_flag("--best-only", a.best_only, "Leave out what shows the parts apart");
  app.add_option("--output", a.output, "Folder that keeps every file, as SIZE LABEL.gguf");
  app.add_option("--threads", a.threads);
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::Mixes(a).run();
    return 0;
  } catch (const vernier::Error& e) {
    fmt::print(stderr, "mix_bench: {}\n", e.what());
    return 1;
  }
}
