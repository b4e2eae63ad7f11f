#include "cli/reliability_subject.h"

#include "base/fail.h"

namespace vernier {

SubjectSpelling parse_subject(const std::string& text) {
  SubjectSpelling subject{text, text};
  if (const size_t sign = subject.scheme.rfind('@'); sign != std::string::npos) {
    const std::string tower = subject.scheme.substr(sign + 1);
    if (tower != "image" && tower != "text")
      fail(ErrorKind::kInvalidArgument, "reliability: {}: expected @image or @text, got @{}", text, tower);
    subject.tower = tower == "image" ? Stack::kImage : Stack::kText;
    subject.scheme.resize(sign);
  }
  if (const size_t sign = subject.scheme.find('+'); sign != std::string::npos) {
    subject.activations = Activations::parse(subject.scheme.substr(sign + 1));
    subject.scheme.resize(sign);
  }
  if (subject.scheme.empty() && !subject.activations)
    fail(ErrorKind::kInvalidArgument,
         "reliability: \"{}\": expected a scheme, a rounding of activations, or both, such as "
         "int4:channel:sym+int8:token",
         text);
  return subject;
}

}  // namespace vernier
