#include "vernier/report.h"

#include <fmt/format.h>

#include "cli/subcommands.h"
#include "report/report_data.h"
#include "run/run_directory.h"

namespace vernier {

void add_report(CLI::App& app, Console& console) {
  struct Arguments {
    std::string folder, output;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command = app.add_subcommand("report", "Make the report page of a run directory again");
  auto a = std::make_shared<Arguments>();
  add_option(*command, "DIR", a->folder, "Run directory")->required()->check(CLI::ExistingDirectory);
  add_output(*command, a->io, "-o,--output", a->output, "Page to write; DIR/report.html by default");
  a->io.reads_in(a->folder, {"manifest.json", "evaluation.json", "diagnosis.json", "plan.json", "front.json",
                             "limit.json", "reliability.json", "work/confirmation.json"});
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    if (a->output.empty()) a->output = a->folder + "/report.html";
    a->io.check();
    const Json manifest = finished_manifest(a->folder);
    const Json data = report_data(report_parts(manifest, a->folder));
    write_report(a->output, data);
    if (!a->json.write(data, console)) fmt::print(console.out, "{}\n", a->output);
  });
}

}  // namespace vernier
