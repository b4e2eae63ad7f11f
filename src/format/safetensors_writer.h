#pragma once

// Writes a safetensors file: declarations first, then the data as a stream. The same declarations give the same bytes.
//
//   SafetensorsWriter writer;
//   writer.set_metadata("format", "pt");
//   writer.add("model.norm.weight", DType::kBF16, {896});
//   writer.write("model.safetensors", [&](size_t index, const ByteSink& append) { append(bytes_of(index)); });

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "format/dtype.h"
#include "format/tensor_source.h"

namespace vernier {

class SafetensorsWriter {
 public:
  /// Later values replace earlier ones; stored sorted by key.
  void set_metadata(const std::string& key, const std::string& value);
  /// @throws Error{kInvalidArgument} for a duplicate or reserved name, text that is not UTF-8, a negative or
  /// overflowing shape, kOther
  void add(const std::string& name, DType dtype, std::vector<int64_t> shape);

  /// Size of the file that write() makes, exact.
  uint64_t file_bytes() const;
  /// Tensors lie in the order of declaration, wider element types first: that keeps every one aligned, since the format
  /// allows no padding. Whole or not at all. @throws Error{kIo, kInvalidArgument} and what the source throws
  void write(const std::filesystem::path& path, const TensorSource& source) const;

 private:
  struct Tensor {
    std::string name;
    DType dtype;
    std::vector<int64_t> shape;
    uint64_t size_bytes;
  };
  std::vector<size_t> layout() const;  // indices into tensors_, in the order of the file
  std::string header() const;          // the length field included

  std::vector<Tensor> tensors_;
  std::map<std::string, size_t> index_;
  std::map<std::string, std::string> metadata_;
  uint64_t data_bytes_ = 0;
};

}  // namespace vernier
