#pragma once

#include <string>

namespace vernier {

/// Version of the tensor library, for provenance.
std::string torch_version();

}  // namespace vernier
