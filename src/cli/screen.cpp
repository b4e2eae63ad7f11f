#include "vernier/screen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <numeric>

#include "base/text_table.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/given_options.h"
#include "cli/image_arguments.h"
#include "cli/subcommands.h"
#include "data/named_texts.h"
#include "data/text_domains.h"
#include "vernier/scheme.h"

namespace vernier {

namespace {

void print_screen(const Screen& s, int64_t top, Console& console) {
  for (const ScreenedDomain& domain : s.domains) {
    const ScreenScale& all = domain.scales.at("all");
    fmt::print(console.out, "{}: {} labels in {} windows of {}; directional / diagonal {:.3f} ± {}\n", domain.name,
               domain.tokens, domain.windows, domain.data_name, all.ratio.mean,
               number_cell(all.ratio.standard_error, 3));
  }
  for (const std::string& scheme : s.schemes) {
    const auto value = [&](size_t c, const char* key, size_t d) -> const Measured& {
      return s.at(s.components[c], scheme, key, d);
    };
    // Of all domains alike, which is what plans take.
    const auto mean = [&](size_t c, const char* key) {
      double sum = 0, variance = 0;
      for (size_t d = 0; d < s.domains.size(); ++d) {
        sum += value(c, key, d).mean;
        variance += std::pow(value(c, key, d).standard_error, 2);
      }
      const auto count = static_cast<double>(s.domains.size());
      return Measured{sum / count, std::sqrt(variance) / count};
    };
    std::vector<size_t> order(s.components.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::stable_sort(order, std::greater(), [&](size_t c) { return mean(c, "predicted_kl").mean; });
    if (top > 0 && static_cast<int64_t>(order.size()) > top) order.resize(static_cast<size_t>(top));
    std::vector<std::string> header{"component", "kind", "predicted KL nats", "±", "diagonal", "directional"};
    if (s.domains.size() > 1)
      for (const ScreenedDomain& domain : s.domains) header.push_back("on " + domain.name);
    TextTable table(header);
    for (const size_t c : order) {
      const Measured kl = mean(c, "predicted_kl");
      std::vector<std::string> row{name_of(s.components[c]),
                                   std::string(kind_name(s.components[c].kind)),
                                   number_cell(kl.mean, 6),
                                   number_cell(kl.standard_error, 6),
                                   number_cell(mean(c, "diagonal").mean, 6),
                                   number_cell(mean(c, "directional").mean, 6)};
      if (s.domains.size() > 1)
        for (size_t d = 0; d < s.domains.size(); ++d) row.push_back(number_cell(value(c, "predicted_kl", d).mean, 6));
      table.add(row);
    }
    fmt::print(console.out, "\n{} on {}{}\n{}", scheme,
               s.domains.size() > 1 ? fmt::format("{} domains alike", s.domains.size()) : s.domains[0].name,
               order.size() < s.components.size()
                   ? fmt::format(", the worst {} of {} components (--top)", order.size(), s.components.size())
                   : "",
               table.str(console.width()));
  }
}

void print_limit(const Limit& limit, Console& console) {
  double weights = 0;
  for (const DamageSpectrum& matrix : limit.matrices) weights += static_cast<double>(matrix.weights());
  TextTable table({"bits per weight of a matrix", "limit, any code", "scalar grid, ideal entropy coding"});
  for (const double bits : {2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0}) {
    const double nats = limit_kl(limit, bits * weights / 8);
    table.add({fmt::format("{:.1f}", bits), fmt::format("{:.3g}", nats),
               fmt::format("{:.3g}", LimitShares::kScalarGrid * nats)});
  }
  fmt::print(console.out, "\nleast KL, nats per token\n{}", table.str(console.width()));
}

void print_agreements(const std::vector<EstimatorAgreement>& agreements, Console& console) {
  TextTable table({"estimator", "domain", "components", "count", "Spearman", "95%", "Kendall", "top overlap", "95%",
                   "predicted / exact"});
  const auto range = [](const Interval& i) { return fmt::format("{:.2f} to {:.2f}", i.low, i.high); };
  for (const EstimatorAgreement& a : agreements)
    table.add(
        {std::string(find_estimator(a.estimator)->name), a.domain, a.components, fmt::format("{}", a.count),
         fmt::format("{:+.3f}", a.spearman.value), range(a.spearman), fmt::format("{:+.3f}", a.kendall.value),
         fmt::format("{:.2f} of {}", a.top_overlap.value, a.top), range(a.top_overlap),
         std::isfinite(a.ratio_of_totals) ? fmt::format("{:.3f}", a.ratio_of_totals) : std::string("ranks only")});
  fmt::print(console.out, "\nagainst the exact sweep\n{}", table.str(console.width()));
}

struct ScreenArguments {
  std::string model, output = "screen.json", against, channels, labels = "sampled";
  std::vector<std::string> texts, schemes{"gguf:q4_k"};
  CalibrationArgument calibration;
  ImageArguments labelled;
  int64_t context = 512, windows = 32, images = 256, top = 20, memory_mib = 0, kfac_rows = 512;
  int hessian_probes = 0;
  bool limit = false;
  uint64_t seed = 0;
  ThreadsArgument threads;
  JsonArgument json;
  CommandFiles io;
};

Screen screen_of_texts(const Model& model, const ScreenArguments& a, const ScreenOptions& options, Console& console) {
  require_texts(a.texts, model, "screen");
  if (const double seconds = limit_core_seconds(model); a.limit && seconds > 60)
    console.progress.warn(fmt::format("the limit's eigenvalues take about {:.0f} minutes of one core", seconds / 60));
  const Calibration calibration = a.calibration.load();
  const Tokenizer tokenizer(open_tokenizer(model, console));
  std::vector<ScreenText> texts;
  for (const TextDomain& domain : text_domains(tokenizer, a.texts, &console.progress))
    texts.push_back({domain.name, calibration_windows(domain.text, a.context, a.windows, &console.progress)});
  int64_t tokens = 0;
  for (const ScreenText& text : texts)
    for (const TokenWindow& window : text.data.windows) tokens += static_cast<int64_t>(window.tokens.size());
  if (const int64_t wanted = tokens_for_limit(model); a.limit && tokens < wanted)
    console.progress.warn(
        fmt::format("the limit is of {} tokens, which makes it too low; --windows for at least {}", tokens, wanted));
  return screen(model, calibration, texts, options, &console.progress);
}

}  // namespace

void add_screen(CLI::App& app, Console& console) {
  auto* command = app.add_subcommand("screen", "Foretell every component's damage under many schemes, from gradients");
  auto a = std::make_shared<ScreenArguments>();
  add_model(*command, a->io, a->model);
  a->calibration.add(*command, a->io)->required();
  add_option(*command, "--schemes", a->schemes, "Candidates, separated by commas")
      ->delimiter(',')
      ->capture_default_str();
  add_option(
      *command, "--data", a->texts,
      "Text files, each a domain for which scores are kept apart; NAME=FILE names it and joins files of "
      "one name. The built-in texts when none is given. For a model that sees a manifest (CSV: path, label) or a "
      "folder of classes");
  a->labelled.add(*command, a->io);
  add_option(*command, "--context", a->context, "Tokens per window")->check(context_range())->capture_default_str();
  add_option(*command, "--windows", a->windows, "Use N windows of each domain, evenly spaced; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--images", a->images, "Use N images, evenly over their classes; 0: all")
      ->check(count_range())
      ->capture_default_str();
  command
      ->add_option("--labels", a->labels,
                   "Next tokens (classes) that gradients are of: sampled from the model, or the data's own")
      ->check(CLI::IsMember({"sampled", "text"}))
      ->capture_default_str();
  add_option(*command, "--seed", a->seed, "Of labels and rows")->capture_default_str();
  add_option(*command, "--kfac-rows", a->kfac_rows, "Rows per matrix that K-FAC pairs; 0: no K-FAC")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--hessian-probes", a->hessian_probes, "Hutchinson probes for HAWQ-V2; slow, and all in f32")
      ->check(within(0, 1 << 20))
      ->capture_default_str();
  command
      ->add_option(
          "--memory", a->memory_mib,
          "MiB for the streams between layers and the sequences that are differentiated at once; 0: 2048 for the "
          "streams, and a sequence per thread, within half of what is free")
      ->check(within(0, int64_t{1} << 30))
      ->capture_default_str();
  add_flag(*command, "--limit", a->limit,
           "Also the least KL of any code at a number of bytes; takes eigenvalues of every matrix' covariances");
  add_input(*command, a->io, "--against", a->against, "diagnosis.json to compare all estimators with");
  add_option(*command, "--top", a->top, "Components to print; 0: all")->check(count_range())->capture_default_str();
  add_output(*command, a->io, "-o,--output", a->output, "Artefact to write")->capture_default_str();
  add_output(*command, a->io, "--channels", a->channels, "Also write statistics per channel (safetensors)");
  a->threads.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, command, &console] {
    const std::vector<DomainFiles> domains = domains_of(a->texts);  // as long as they are looked at
    for (const DomainFiles& domain : domains) a->io.reads(domain.files);
    a->io.check();
    ScreenOptions options{.schemes = a->schemes,
                          .seed = a->seed,
                          .labels = a->labels == "text" ? ScreenLabels::kText : ScreenLabels::kSampled,
                          .memory_bytes = a->memory_mib << 20,
                          .kfac_rows = a->kfac_rows,
                          .channels = !a->channels.empty(),
                          .limit = a->limit,
                          .hessian_probes = a->hessian_probes,
                          .compute = {.threads = a->threads.configure(console)}};
    const Model model = open_model(a->model, console);
    if (model.config().is_language_model())
      refuse_image_options("screen", *command, model.source().name);
    else
      refuse_text_options("screen", *command, {"--context", "--windows"}, model.source().name);
    std::optional<Diagnosis> exact;
    if (!a->against.empty()) {
      exact = diagnosis_from_json(read_artefact(a->against, "diagnose"), a->against);
      std::vector<std::string> schemes;
      for (const std::string& name : a->schemes) schemes.push_back(Scheme::parse(name).name());
      check_comparable(model_hash(model), schemes, *exact);
    }
    const auto on_images = [&] {
      const AnswerData data = a->labelled.data(image_set_of(a->texts, model, "screen"), a->images, model, console);
      return screen(model, a->calibration.load(), data, options, &console.progress);
    };
    const Screen s = model.config().is_language_model() ? screen_of_texts(model, *a, options, console) : on_images();
    save_screen(s, a->output);
    if (!a->channels.empty()) save_channels(s, a->channels);
    std::vector<EstimatorAgreement> agreements;
    if (exact) agreements = compare_estimators(s, *exact);
    Json json = screen_to_json(s);
    if (exact) json["agreements"] = agreements_to_json(agreements);
    if (a->json.write(json, console)) return;
    print_screen(s, a->top, console);
    if (s.limit) print_limit(*s.limit, console);
    if (exact) print_agreements(agreements, console);
    fmt::print(console.out, "-> {}\n", a->output);
  });
}

}  // namespace vernier
