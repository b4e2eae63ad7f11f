#include "reliability/subject_identity.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace vernier {

std::string identity_of_subject(const ReliabilitySubject& subject) {
  Hasher hasher;
  hasher.add(subject.name);
  hasher.add(model_hash(*subject.model));
  hasher.add(subject.activations.name());
  for (const auto& [site, range] : subject.ranges) hasher.add(fmt::format("{} {}", name_of(site), range));
  hasher.add(subject.rounded ? fmt::format("{}", static_cast<int>(*subject.rounded)) : "");
  return hasher.hex();
}

}  // namespace vernier
