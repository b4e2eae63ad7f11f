#include "format/tensor_source.h"

#include "base/fail.h"
#include "format/bytes.h"

namespace vernier {

void write_tensor(OutputFile& file, const std::string& name, uint64_t size_bytes, size_t index,
                  const TensorSource& source) {
  uint64_t left = size_bytes;
  source(index, [&](std::span<const std::byte> bytes) {
    if (bytes.size() > left)
      fail(ErrorKind::kInvalidArgument, "write: tensor {}: more than the declared {} bytes", in_quotes(name),
           size_bytes);
    left -= bytes.size();
    file.write(bytes);
  });
  if (left != 0)
    fail(ErrorKind::kInvalidArgument, "write: tensor {}: got {} bytes, declared {}", in_quotes(name), size_bytes - left,
         size_bytes);
}

}  // namespace vernier
