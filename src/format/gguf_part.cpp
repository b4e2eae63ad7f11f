#include "format/gguf_part.h"

#include <algorithm>
#include <bit>
#include <set>

#include "base/fail.h"
#include "format/bytes.h"

namespace vernier {

namespace {

constexpr uint32_t kMaxDims = 4;

/// Reads forward through the header. `what` names the thing being read, for messages.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, std::string path) : bytes_(bytes), path_(std::move(path)) {}

  std::string what = "header";

  template <class... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> text, Args&&... args) const {
    fail(ErrorKind::kBadFile, "gguf: {}: {}: {}", path_, what, fmt::format(text, std::forward<Args>(args)...));
  }

  uint64_t left() const { return bytes_.size() - position_; }
  uint64_t position() const { return position_; }

  std::span<const std::byte> take(uint64_t count, const char* thing) {
    if (count > left())
      bad("{} of {} bytes, {} are left: truncated or damaged; download it again", thing, count, left());
    const auto bytes = bytes_.subspan(position_, count);
    position_ += count;
    return bytes;
  }

  template <class T>
  T scalar() {
    if constexpr (std::is_same_v<T, std::string>) {
      const auto bytes = take(scalar<uint64_t>(), "a string");
      return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    } else if constexpr (std::is_same_v<T, bool>) {
      return to_bool(scalar<uint8_t>());
    } else {
      return load_bytes<T>(take(sizeof(T), "a value").data());
    }
  }

  template <class T>
  std::vector<T> array() {
    const uint64_t count = scalar<uint64_t>();
    constexpr uint64_t kLeast = std::is_same_v<T, std::string> ? 8 : sizeof(T);  // bytes of the smallest element
    if (count > left() / kLeast) bad("an array of {} elements, {} bytes are left: truncated or damaged", count, left());
    std::vector<T> values;
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, bool>) {
      values.reserve(count);
      for (uint64_t i = 0; i < count; ++i) values.push_back(scalar<T>());
    } else if (count > 0) {
      values.resize(count);
      std::memcpy(values.data(), take(count * sizeof(T), "an array").data(), count * sizeof(T));
    }
    return values;
  }

 private:
  bool to_bool(uint8_t byte) const {
    if (byte > 1) bad("expected a boolean of 0 or 1, got {}", byte);
    return byte == 1;
  }

  std::span<const std::byte> bytes_;
  std::string path_;
  uint64_t position_ = 0;
};

/// Calls `read` with the C++ type that the code stands for.
template <class F>
GgufValue with_type(const Cursor& cursor, uint32_t code, F&& read) {
  switch (code) {
    case 0: return read(std::type_identity<uint8_t>{});
    case 1: return read(std::type_identity<int8_t>{});
    case 2: return read(std::type_identity<uint16_t>{});
    case 3: return read(std::type_identity<int16_t>{});
    case 4: return read(std::type_identity<uint32_t>{});
    case 5: return read(std::type_identity<int32_t>{});
    case 6: return read(std::type_identity<float>{});
    case 7: return read(std::type_identity<bool>{});
    case 8: return read(std::type_identity<std::string>{});
    case 10: return read(std::type_identity<uint64_t>{});
    case 11: return read(std::type_identity<int64_t>{});
    case 12: return read(std::type_identity<double>{});
    case kGgufArray: cursor.bad("an array of arrays is not allowed");
    default: cursor.bad("value type {}, expected 0 to 12", code);
  }
}

GgufValue read_value(Cursor& cursor) {
  const auto type = cursor.scalar<uint32_t>();
  if (type == kGgufArray)
    return with_type(cursor, cursor.scalar<uint32_t>(),
                     [&]<class T>(std::type_identity<T>) { return GgufValue(cursor.array<T>()); });
  return with_type(cursor, type, [&]<class T>(std::type_identity<T>) { return GgufValue(cursor.scalar<T>()); });
}

uint32_t read_version(Cursor& cursor, std::span<const std::byte> bytes, const std::string& path) {
  if (bytes.size() < 4 || std::memcmp(bytes.data(), "GGUF", 4) != 0) {
    const ForeignFile foreign = sniff(bytes);
    fail(foreign == ForeignFile::kPickle ? ErrorKind::kUnsupported : ErrorKind::kBadFile, "gguf: {}: {}", path,
         foreign == ForeignFile::kNone ? "expected the magic \"GGUF\"" : foreign_text(foreign));
  }
  cursor.take(4, "the magic");
  const auto version = cursor.scalar<uint32_t>();
  if (version != 0 && (version & 0xffff) == 0)
    cursor.bad("this is a big-endian file; convert it with gguf-py's gguf-convert-endian");
  if (version == 1) cursor.bad("version 1 is no longer read, expected 2 or 3; convert the original model again");
  if (version != 2 && version != 3) cursor.bad("version {}, expected 2 or 3", version);
  return version;
}

uint64_t read_alignment(const Cursor& cursor, const GgufValue& value) {
  const uint32_t* alignment = std::get_if<uint32_t>(&value);
  if (alignment == nullptr || !std::has_single_bit(*alignment)) cursor.bad("expected a uint32 that is a power of two");
  return *alignment;
}

/// Type, dimensions and offset; `data` is filled in once the data section's place is known.
GgufTensor read_tensor_info(Cursor& cursor, uint64_t* offset) {
  GgufTensor tensor;
  tensor.name = cursor.scalar<std::string>();
  cursor.what = "tensor " + in_quotes(tensor.name);
  const auto dims = cursor.scalar<uint32_t>();
  if (dims > kMaxDims) cursor.bad("{} dimensions, expected at most {}", dims, kMaxDims);
  for (uint32_t i = 0; i < dims; ++i) {
    tensor.ne.push_back(cursor.scalar<int64_t>());
    if (tensor.ne.back() < 1) cursor.bad("dimension {} is {}, expected at least 1", i, tensor.ne.back());
  }
  tensor.shape.assign(tensor.ne.rbegin(), tensor.ne.rend());
  const auto type = cursor.scalar<uint32_t>();
  if (ggml_type_name(type).empty())
    cursor.bad("type id {} is unknown: damaged, or written by a newer version of ggml", type);
  try {
    tensor.type = &ggml_type(type);
  } catch (const Error& e) {
    fail(e.kind(), "{} (tensor {})", e.what(), in_quotes(tensor.name));
  }
  *offset = cursor.scalar<uint64_t>();
  return tensor;
}

std::span<const std::byte> tensor_data(const Cursor& cursor, const GgufTensor& tensor, uint64_t offset,
                                       uint64_t alignment, std::span<const std::byte> section) {
  uint64_t size = 0, end = 0;
  try {
    size = ggml_bytes(*tensor.type, tensor.shape);
  } catch (const Error& e) {
    cursor.bad("{}", e.what());
  }
  if (offset % alignment != 0) cursor.bad("offset {} is not a multiple of {}", offset, alignment);
  if (add_overflows(offset, size, &end) || end > section.size())
    cursor.bad("{} bytes at offset {}, the data section has {}: truncated; download it again", size, offset,
               section.size());
  return section.subspan(offset, size);
}

void check_overlaps(const GgufPart& part) {
  std::vector<const GgufTensor*> order;
  for (const GgufTensor& tensor : part.tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(),
            [](const GgufTensor* a, const GgufTensor* b) { return a->data.data() < b->data.data(); });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i]->data.data() < order[i - 1]->data.data() + order[i - 1]->data.size())
      fail(ErrorKind::kBadFile, "gguf: {}: tensor {}: its data overlaps that of {}", part.mapping->path().string(),
           in_quotes(order[i]->name), in_quotes(order[i - 1]->name));
}

}  // namespace

GgufPart read_gguf_part(const std::filesystem::path& path) {
  GgufPart part;
  part.mapping = std::make_unique<MappedFile>(path);
  const auto bytes = part.mapping->bytes();
  Cursor cursor(bytes, path.string());
  part.version = read_version(cursor, bytes, path.string());
  const auto tensor_count = cursor.scalar<uint64_t>();
  const auto value_count = cursor.scalar<uint64_t>();
  constexpr uint64_t kLeastValue = 8 + 4 + 1, kLeastTensor = 8 + 4 + 4 + 8;
  if (value_count > cursor.left() / kLeastValue)
    cursor.bad("{} metadata values, {} bytes are left: truncated or damaged", value_count, cursor.left());
  if (tensor_count > cursor.left() / kLeastTensor)
    cursor.bad("{} tensors, {} bytes are left: truncated or damaged", tensor_count, cursor.left());

  std::set<std::string> keys, names;
  for (uint64_t i = 0; i < value_count; ++i) {
    cursor.what = fmt::format("metadata key {}", i);
    std::string key = cursor.scalar<std::string>();
    if (key.size() > kMaxGgufKeyBytes) cursor.bad("{} bytes, expected at most {}", key.size(), kMaxGgufKeyBytes);
    cursor.what = "metadata " + in_quotes(key);
    if (!keys.insert(key).second) cursor.bad("duplicate key");
    GgufValue value = read_value(cursor);
    if (key == "general.alignment") part.alignment = read_alignment(cursor, value);
    part.values.push_back({std::move(key), std::move(value)});
  }

  std::vector<uint64_t> offsets;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    cursor.what = fmt::format("tensor {}", i);
    GgufTensor tensor = read_tensor_info(cursor, &offsets.emplace_back());
    if (!names.insert(tensor.name).second) cursor.bad("duplicate name");
    part.tensors.push_back(std::move(tensor));
  }

  // Without tensors the padding behind the header may be absent.
  const uint64_t aligned = (cursor.position() + part.alignment - 1) / part.alignment * part.alignment;
  const uint64_t start = std::min<uint64_t>(aligned, bytes.size());
  for (uint64_t i = 0; i < tensor_count; ++i) {
    cursor.what = "tensor " + in_quotes(part.tensors[i].name);
    part.tensors[i].data = tensor_data(cursor, part.tensors[i], offsets[i], part.alignment, bytes.subspan(start));
  }
  check_overlaps(part);
  return part;
}

}  // namespace vernier
