#include "format/safetensors_writer.h"

#include <algorithm>
#include <numeric>

#include "base/fail.h"
#include "base/json.h"
#include "format/bytes.h"

namespace vernier {

namespace {
void check_text(const std::string& text) {
  try {
    (void)Json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::kInvalidArgument, "safetensors: {} is not UTF-8", in_quotes(text));
  }
}
}  // namespace

void SafetensorsWriter::set_metadata(const std::string& key, const std::string& value) {
  check_text(key);
  check_text(value);
  metadata_[key] = value;
}

void SafetensorsWriter::add(const std::string& name, DType dtype, std::vector<int64_t> shape) {
  check_text(name);
  uint64_t count = 0, size = 0, total = 0;
  if (!count_elements(shape, &count) || multiply_overflows(count, dtype_bytes(dtype), &size) ||
      add_overflows(data_bytes_, size, &total))
    fail(ErrorKind::kInvalidArgument, "safetensors: tensor {}: shape {} is negative or overflows", in_quotes(name),
         shape_text(shape));
  if (name == "__metadata__" || !index_.emplace(name, tensors_.size()).second)
    fail(ErrorKind::kInvalidArgument, "safetensors: tensor {}: the name is taken", in_quotes(name));
  data_bytes_ = total;
  tensors_.push_back({name, dtype, std::move(shape), size});
}

std::vector<size_t> SafetensorsWriter::layout() const {
  std::vector<size_t> order(tensors_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return dtype_bytes(tensors_[a].dtype) > dtype_bytes(tensors_[b].dtype); });
  return order;
}

std::string SafetensorsWriter::header() const {
  Json json = Json::object();
  if (!metadata_.empty()) json["__metadata__"] = metadata_;
  // Appended as text: an ordered object searches all its keys on every insertion.
  std::string text = json.dump();
  text.pop_back();
  uint64_t offset = 0;
  for (const size_t i : layout()) {
    const Tensor& tensor = tensors_[i];
    if (text.size() > 1) text += ',';
    const Json value = {{"dtype", dtype_name(tensor.dtype)},
                        {"shape", tensor.shape},
                        {"data_offsets", {offset, offset + tensor.size_bytes}}};
    text += Json(tensor.name).dump() + ':' + value.dump();
    offset += tensor.size_bytes;
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

uint64_t SafetensorsWriter::file_bytes() const { return header().size() + data_bytes_; }

void SafetensorsWriter::write(const std::filesystem::path& path, const TensorSource& source) const {
  OutputFile file(path);
  file.write(header());
  for (const size_t i : layout()) write_tensor(file, tensors_[i].name, tensors_[i].size_bytes, i, source);
  file.commit();
}

}  // namespace vernier
