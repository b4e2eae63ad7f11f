#pragma once

// Values that a file holds, by the parsers of what people type.

#include <string>

#include "base/fail.h"

namespace vernier {

/// What `parse` returns. What it calls an argument that cannot be meant is a bad file here, which is named once: what it
/// says of the file itself passes as it is.
template <class Parse>
auto from_file(const std::string& origin, const Parse& parse) {
  try {
    return parse();
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kBadFile) throw;
    fail(ErrorKind::kBadFile, "{}: {}", origin, e.what());
  }
}

}  // namespace vernier
