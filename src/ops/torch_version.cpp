#include "ops/torch_version.h"

#if __has_include(<torch/version.h>)
#include <torch/version.h>
#else
#include <torch/csrc/api/include/torch/version.h>
#endif

namespace vernier {

std::string torch_version() { return TORCH_VERSION; }

}  // namespace vernier
