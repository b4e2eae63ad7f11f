#pragma once

// Throwing with a formatted message: fail(ErrorKind::kBadFile, "{}: header of {} bytes", path, n).

#include <fmt/format.h>

#include "vernier/error.h"

namespace vernier {

template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> text, Args&&... args) {
  throw Error(kind, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace vernier
