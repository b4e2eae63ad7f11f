#pragma once

// A device of libtorch by its name.

#include <c10/core/Device.h>

#include <string>

namespace vernier {

/// "cpu", "aten" (the CPU), "cuda", "cuda:1". @throws Error{kInvalidArgument} for one that libtorch does not have here
at::Device device_named(const std::string& name);

}  // namespace vernier
