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

std::string identity_of_compute(const ComputeOptions& compute) {
  return fmt::format("{} {}", static_cast<int>(compute.type), compute.device);
}

void name_first(const std::vector<ReliabilitySubject>& subjects, Reliability& result) {
  const Model& first = *subjects.front().model;
  result.model_name = first.source().name;
  result.model_hash = model_hash(first);
}

}  // namespace vernier
