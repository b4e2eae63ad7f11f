#include "format/gguf_writer.h"

#include "base/fail.h"
#include "base/hash.h"
#include "format/bytes.h"

namespace vernier {

namespace {

constexpr size_t kMaxNameBytes = 63;             // ggml keeps 64 bytes, one of them the final zero
constexpr uint64_t kFixedBytes = 4 + 4 + 8 + 8;  // magic, version, counts

template <class T>
void append_value(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    append_value(out, uint64_t{value.size()});
    out += value;
  } else if constexpr (std::is_same_v<T, bool>) {
    out += value ? '\1' : '\0';
  } else {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
}

template <class T>
void append_typed(std::string& out, const T& value) {
  if constexpr (IsVector<T>::value) {
    using Element = typename T::value_type;
    append_value(out, kGgufArray);
    append_value(out, gguf_type_code<Element>());
    append_value(out, uint64_t{value.size()});
    for (const Element& element : value) append_value(out, element);
  } else {
    append_value(out, gguf_type_code<T>());
    append_value(out, value);
  }
}

void write_padding(OutputFile& file) {
  static constexpr std::byte kZeros[kGgufAlignment] = {};
  file.write(std::span(kZeros).first(gguf_padded_bytes(file.size_bytes()) - file.size_bytes()));
}

}  // namespace

void GgufWriter::set(const std::string& key, const GgufValue& value) {
  if (key.empty() || key.size() > kMaxGgufKeyBytes || key == "general.alignment")
    fail(ErrorKind::kInvalidArgument, "gguf: key {} cannot be set", in_quotes(key));
  if (!keys_.insert(key).second) fail(ErrorKind::kInvalidArgument, "gguf: key {} is set twice", in_quotes(key));
  append_value(encoded_values_, key);
  std::visit([&](const auto& typed) { append_typed(encoded_values_, typed); }, value);
}

void GgufWriter::add_tensor(const std::string& name, uint32_t type_id, const std::vector<int64_t>& shape) {
  if (name.empty() || name.size() > kMaxNameBytes)
    fail(ErrorKind::kInvalidArgument, "gguf: tensor {}: a name of {} bytes, expected 1 to {}", in_quotes(name),
         name.size(), kMaxNameBytes);
  if (shape.empty() || shape.size() > 4)
    fail(ErrorKind::kInvalidArgument, "gguf: tensor {}: {} dimensions, expected 1 to 4", in_quotes(name), shape.size());
  const GgmlType& type = ggml_type(type_id);
  uint64_t total = 0;
  const uint64_t size = ggml_bytes(type, shape);
  // A dimension of 0 gives no bytes. Half the range keeps padding and header from overflowing as well.
  if (size == 0 || add_overflows(data_bytes_, size, &total) || total > (uint64_t{1} << 62))
    fail(ErrorKind::kInvalidArgument, "gguf: tensor {}: shape {} is empty or too large", in_quotes(name),
         shape_text(shape));
  if (!names_.insert(name).second) fail(ErrorKind::kInvalidArgument, "gguf: tensor {} is added twice", in_quotes(name));

  append_value(encoded_tensors_, name);
  append_value(encoded_tensors_, static_cast<uint32_t>(shape.size()));
  for (size_t i = shape.size(); i-- > 0;) append_value(encoded_tensors_, shape[i]);
  append_value(encoded_tensors_, type_id);
  append_value(encoded_tensors_, data_bytes_);
  tensors_.push_back({name, size});
  data_bytes_ += gguf_padded_bytes(size);
}

uint64_t GgufWriter::header_bytes() const {
  return gguf_padded_bytes(kFixedBytes + encoded_values_.size() + encoded_tensors_.size());
}

std::string GgufWriter::header_hash() const {
  Hasher hasher;
  hasher.add(encoded_values_);
  hasher.add(encoded_tensors_);
  return hasher.hex();
}

void GgufWriter::write(const std::filesystem::path& path, const TensorSource& source) const {
  OutputFile file(path);
  std::string fixed = "GGUF";
  append_value(fixed, uint32_t{3});
  append_value(fixed, uint64_t{tensors_.size()});
  append_value(fixed, uint64_t{keys_.size()});
  file.write(fixed);
  file.write(encoded_values_);
  file.write(encoded_tensors_);
  write_padding(file);
  for (size_t i = 0; i < tensors_.size(); ++i) {
    write_tensor(file, tensors_[i].name, tensors_[i].size_bytes, i, source);
    write_padding(file);
  }
  file.commit();
}

}  // namespace vernier
