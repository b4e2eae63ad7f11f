#include "ops/torch_version.h"

namespace vernier {

std::string torch_version() { return TORCH_VERSION; }

}  // namespace vernier
