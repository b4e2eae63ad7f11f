#include "vernier/report.h"

#include <fmt/format.h>

#include "base/fail.h"
#include "cli/subcommands.h"
#include "report/activations_data.h"
#include "report/finetune_data.h"
#include "report/report_data.h"
#include "report/who_pays_data.h"
#include "run/run_directory.h"
#include "vernier/group_study.h"

namespace vernier {

namespace {

/// Of what one of the subcommands wrote that have a page of their own.
Json page_of_file(const std::string& path) {
  const Json study = read_json(path);
  const Json* named = json_find(study, "kind");
  const std::string kind = named != nullptr && named->is_string() ? named->get<std::string>() : "";
  // The keys beside kinds: of files from before they had one.
  if (kind == "finetune" || json_find(study, "trained") != nullptr) return finetune_data(study);
  if (kind == "reliability" || json_find(study, "dimensions") != nullptr) return report_data_of_reliability(study);
  if (kind == "activation_study") return activations_page(study);
  if (!kind.empty() && kind != "group_study")
    fail(ErrorKind::kInvalidArgument,
         "report: {}: a file of kind \"{}\" has no page of its own; the page of a run's directory shows it", path,
         kind);
  group_study_from_json(study, path);  // strict, where the page takes what it finds
  return who_pays_data(study);
}

}  // namespace

void add_report(CLI::App& app, Console& console) {
  struct Arguments {
    std::string source, output;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command =
      app.add_subcommand("report",
                         "Make the report page of a run directory again, or one of who pays from "
                         "groups.json, of training from finetune.json, of activations.json, of reliability.json");
  auto a = std::make_shared<Arguments>();
  add_option(*command, "SOURCE", a->source,
             "Run directory, or the groups.json, finetune.json, activations.json or reliability.json of its subcommand")
      ->required()
      ->check(CLI::ExistingPath);
  add_output(
      *command, a->io, "-o,--output", a->output,
      "Page to write; by default report.html in the run directory, or groups.html beside groups.json, and so on");
  a->io.reads(a->source);
  a->io.reads_in(a->source, {"manifest.json", "evaluation.json", "diagnosis.json", "plan.json", "front.json",
                             "groups.json", "limit.json", "reliability.json", "finetune.json", "activations.json",
                             "protection.json", "work/confirmation.json", "work/refinement.json"});
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    const bool run = std::filesystem::is_directory(a->source);
    if (a->output.empty())
      a->output =
          run ? a->source + "/report.html" : std::filesystem::path(a->source).replace_extension("html").string();
    a->io.check();
    const Json data =
        run ? report_data(report_parts(finished_manifest(a->source), a->source)) : page_of_file(a->source);
    write_report(a->output, data);
    if (!a->json.write(data, console)) fmt::print(console.out, "{}\n", a->output);
  });
}

}  // namespace vernier
