#pragma once

// From the artefacts of a run to the data of its report (report.json): nothing is computed that an artefact does not
// say, so a page can be made again from a run directory alone.

#include "base/json.h"

namespace vernier {

/// manifest, evaluation: as `run` writes them; diagnosis, plan: the artefacts.
/// @throws Error{kBadFile} when a part is missing
Json report_data(const Json& manifest, const Json& evaluation, const Json& diagnosis, const Json& plan);

}  // namespace vernier
