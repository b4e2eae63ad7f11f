#include "report/report_data.h"
#include "run/run_stages.h"
#include "vernier/report.h"

namespace vernier {

void report_stage(const RunContext& run) {
  RunDirectory& directory = run.directory;
  for (const std::string& name :
       {std::string("calibration.safetensors"), std::string("damage.json"), std::string("diagnosis.json"),
        std::string("plan.json"), chosen_file(run.target), std::string("evaluation.json")})
    directory.facts()["artefacts"][name] = directory.hash(name);
  if (run.inputs.images) directory.facts()["artefacts"]["groups.json"] = directory.hash("groups.json");
  write_report(directory.path("report.html"), report_data(report_parts(directory.manifest(), directory.path(""))));
  directory.save();
}

}  // namespace vernier
