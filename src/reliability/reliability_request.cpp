#include "reliability/reliability_request.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/fail.h"
#include "reliability/image_dimensions.h"
#include "reliability/reliability_counts.h"
#include "vernier/corruptions.h"

namespace vernier {

void check_image_request(const ReliabilityRequest& request) {
  const ReliabilityOptions& o = request.options;
  for (const std::string& key : request.dimensions) {
    const auto keys = reliability_dimensions();
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      fail(ErrorKind::kInvalidArgument, "reliability: there is no dimension \"{}\"; there are {}", key,
           fmt::join(keys, ", "));
    if (key == "out_of_distribution" && request.outside.empty())
      fail(ErrorKind::kInvalidArgument, "reliability: {} needs images of something else; name a folder with --ood",
           key);
  }
  for (const std::string& key : o.corruptions) find_corruption(key);
  for (const std::string& key : o.attacks) {
    const auto keys = attack_keys();
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      fail(ErrorKind::kInvalidArgument, "reliability: there is no attack \"{}\"; there are {}", key,
           fmt::join(keys, ", "));
  }
  check_counts(o);
  for (size_t i = 0; i < o.attack_radii.size(); ++i)
    if (!(o.attack_radii[i] > 0 && o.attack_radii[i] <= 1) || (i > 0 && o.attack_radii[i] <= o.attack_radii[i - 1]))
      fail(ErrorKind::kInvalidArgument,
           "reliability: radii of attacks: got {:g}/255{}, expected them to rise, to 255/255", 255 * o.attack_radii[i],
           i > 0 ? fmt::format(" after {:g}/255", 255 * o.attack_radii[i - 1]) : "");
}

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
