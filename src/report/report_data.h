#pragma once

// From the artefacts of a run to the data of its report (report.json): nothing is computed that an artefact does not
// say, so a page can be made again from a run directory alone.

#include <filesystem>

#include "base/json.h"

namespace vernier {

/// The artefacts as `run` writes them.
struct ReportParts {
  Json manifest, evaluation, diagnosis, plan;
  Json front{}, confirmation{}, limit{};  ///< null where a run has none
  Json damage{};                          ///< null where a run has none
  Json reliability{};                     ///< null unless somebody put reliability.json there
  Json groups{};                          ///< null where a run has none
  Json finetune{};                        ///< null unless somebody put finetune.json there
  Json activations{};                     ///< null unless somebody put activations.json there
  Json protection{};                      ///< null unless somebody put protection.json there
  Json refinement{};                      ///< null where a run has no second round
  Json left_out = Json::array();          ///< names of files that lie there and are of another model
};

/// A report of reliability.json alone. @throws Error{kBadFile} when a key is missing
Json report_data_of_reliability(const Json& reliability);
/// @throws Error{kBadFile} when a part is missing
Json report_data(const ReportParts& parts);
/// Those of a run directory but its manifest. @throws Error{kIo, kBadFile} for one that is missing or broken
ReportParts report_parts(const Json& manifest, const std::filesystem::path& folder);

}  // namespace vernier
