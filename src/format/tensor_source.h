#pragma once

// How the container writers get their data: tensor by tensor, in pieces of any size, so that one tensor at most has to
// be in memory.
//
//   writer.write(path, [&](size_t index, const ByteSink& append) { append(as_bytes(quantize(weights[index]))); });

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/output_file.h"

namespace vernier {

using ByteSink = std::function<void(std::span<const std::byte>)>;
/// Called once per tensor with its index in the order of declaration, in the order of the file; appends all its bytes.
using TensorSource = std::function<void(size_t index, const ByteSink& append)>;

/// Writes one tensor. @throws Error{kInvalidArgument} when the source gives more or fewer than `size_bytes`, and
/// whatever the source throws
void write_tensor(OutputFile& file, const std::string& name, uint64_t size_bytes, size_t index,
                  const TensorSource& source);

}  // namespace vernier
