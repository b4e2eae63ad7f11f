#pragma once

// Which tensor library this is compiled against: TORCH_VERSION_MAJOR and TORCH_VERSION_MINOR, whose header has moved, and
// what to say of it.

#if __has_include(<torch/version.h>)
#include <torch/version.h>  // IWYU pragma: export
#else
#include <torch/csrc/api/include/torch/version.h>  // IWYU pragma: export
#endif

#include <string>

namespace vernier {

/// Version of the tensor library, for provenance.
std::string torch_version();

}  // namespace vernier
