#include "vernier/protect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "base/fail.h"
#include "base/text_table.h"
#include "cli/calibration_argument.h"
#include "cli/command.h"
#include "cli/given_options.h"
#include "cli/image_arguments.h"
#include "cli/subcommands.h"
#include "data/named_texts.h"

namespace vernier {

namespace {

struct ProtectArguments {
  std::string model, diagnosis, output = "protection.json";
  ProtectOptions options;
  CalibrationTextArgument calibration;
  int64_t calibration_windows = 0, screen_windows = 32;
  DataArguments data;
  ThreadsArgument threads;
  JsonArgument json;
  CommandFiles io;
};

void print_protection(const Protection& p, const std::string& output, Console& console) {
  fmt::print(console.out, "{}: {} bytes of matrices, KL {:.5f} ± {} nats without protection\n\n", p.scheme,
             p.base_bytes, p.base_kl.mean, number_cell(p.base_kl.standard_error, 5));
  std::vector<std::string> head{"kept", "chosen by"};
  if (!p.curves.empty())
    for (const ProtectionPoint& point : p.curves.front().points)
      head.push_back(fmt::format("+{:g}%", 100 * point.share));
  head.emplace_back("knee");
  TextTable table(head);
  for (const ProtectionCurve& curve : p.curves) {
    std::vector<std::string> row{curve.unit, curve.chosen_by};
    for (const ProtectionPoint& point : curve.points) row.push_back(fmt::format("{:.3f}", point.recovery));
    row.push_back(curve.knee_share > 0 ? fmt::format("+{:.2f}%", 100 * curve.knee_share) : "-");
    table.add(row);
  }
  fmt::print(console.out, "share of the damage that is undone, by added bytes\n{}-> {}\n", table.str(console.width()),
             output);
}

std::map<TensorId, double> exact_damage(const std::string& path, const Model& model, const std::string& scheme) {
  std::map<TensorId, double> exact;
  if (path.empty()) return exact;
  const Diagnosis diagnosis = diagnosis_from_json(read_artefact(path, "diagnose"), path);
  if (const std::string hash = model_hash(model); diagnosis.model_hash != hash)
    fail(ErrorKind::kInvalidArgument, "protect: {} is of another model (hash {}, that of {} is {}); diagnose it anew",
         path, diagnosis.model_hash, model.source().name, hash);
  if (diagnosis.scheme != Scheme::parse(scheme).name())
    fail(ErrorKind::kInvalidArgument, "protect: {} is of {}, expected {}; diagnose with --scheme {}", path,
         diagnosis.scheme, Scheme::parse(scheme).name(), scheme);
  for (const TensorId& id : model.matrices())
    if (const ComponentDamage* damage = diagnosis.find(component_of(id))) exact[id] = damage->kl.mean;
  return exact;
}

}  // namespace

void add_protect(CLI::App& app, Console& console) {
  auto* command = app.add_subcommand(
      "protect", "What keeping a few matrices, columns or weights in 16 bits undoes, against the bytes it adds");
  auto a = std::make_shared<ProtectArguments>();
  ProtectOptions& o = a->options;
  add_model(*command, a->io, a->model);
  add_option(*command, "--scheme", o.scheme, "Of everything that is not protected")->capture_default_str();
  command
      ->add_option("--units", o.units,
                   "What is kept as one: matrix, column, weight, feature (LLM.int8()); all by default")
      ->delimiter(',');
  add_option(*command, "--shares", o.shares, "Added bytes, as shares of all matrices' own")
      ->delimiter(',')
      ->capture_default_str();
  add_option(*command, "--random", o.random_draws, "Random choices to average")
      ->check(within(1, 1000))
      ->capture_default_str();
  add_input(*command, a->io, "--diagnosis", a->diagnosis,
            "Artefact of `vernier diagnose` with that scheme: matrices are chosen exactly too");
  a->calibration.add(*command, a->io, "Text to calibrate and screen on; a built-in text by default");
  add_option(*command, "--calibration-windows", a->calibration_windows, "Calibrate on N windows; 0: all")
      ->check(count_range())
      ->capture_default_str();
  add_option(*command, "--screen-windows", a->screen_windows, "Screen on N of them; 0: all")
      ->check(count_range())
      ->capture_default_str();
  a->data.add(*command, a->io);
  add_option(*command, "--seed", o.seed, "Of random choices and labels")->capture_default_str();
  add_output(*command, a->io, "-o,--output", a->output, "Artefact to write")->capture_default_str();
  a->threads.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, command, &console] {
    a->io.check();
    refuse_given("protect", *command, {"--groups", "--filter"}, "of `vernier evaluate`; name texts by --data");
    a->calibration.check();
    ProtectOptions options = a->options;
    options.compute.threads = a->threads.configure(console);  // a screen's gradients are in float32 on the CPU
    const Model model = open_model(a->model, console);
    require_texts(a->data.data, model, "protect");
    options.exact = exact_damage(a->diagnosis, model, options.scheme);
    const Tokenizer tokenizer(open_tokenizer(model, console));
    const TokenizedText text = calibration_text(tokenizer, a->calibration.files, &console.progress);
    const Calibration calibration =
        calibrate(model, calibration_windows(text, a->data.context, a->calibration_windows, &console.progress),
                  options.compute, &console.progress);
    const Screen screened =
        screen(model, calibration,
               {{"calibration", calibration_windows(text, a->data.context, a->screen_windows, &console.progress)}},
               {.schemes = {options.scheme},
                .seed = options.seed,
                .kfac_rows = 0,
                .channels = true,
                .compute = options.compute},
               &console.progress);
    const Protection p =
        protect(model, calibration, screened, a->data.text(tokenizer, console), options, &console.progress);
    write_json(a->output, protection_to_json(p));
    if (!a->json.write(protection_to_json(p), console)) print_protection(p, a->output, console);
  });
}

}  // namespace vernier
