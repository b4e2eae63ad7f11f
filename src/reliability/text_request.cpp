#include "reliability/text_request.h"

#include <algorithm>

#include "base/fail.h"
#include "reliability/reliability_counts.h"

namespace vernier {

void check_text_request(const ReliabilityRequest& request, bool perturbed) {
  check_counts(request.options);
  for (const std::string& key : request.dimensions)
    if (key != "confidence" && !(perturbed && key == "careless_text"))
      fail(ErrorKind::kInvalidArgument,
           "reliability: of a language model there is no dimension \"{}\"; there are confidence and, with "
           "--perturb-text, careless_text",
           key);
  if (!request.options.corruptions.empty() || !request.options.attacks.empty() || !request.outside.empty())
    fail(ErrorKind::kInvalidArgument,
         "reliability: corruptions, attacks and images of something else are of models that see; --perturb-text "
         "changes what a language model reads");
}

bool wants_dimension(const ReliabilityRequest& request, std::string_view key) {
  const auto& keys = request.dimensions;
  return keys.empty() || std::find(keys.begin(), keys.end(), key) != keys.end();
}

}  // namespace vernier
