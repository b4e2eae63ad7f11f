#include "format/gguf_file.h"

#include "base/fail.h"
#include "format/bytes.h"
#include "format/gguf_part.h"
#include "format/gguf_split.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

template <class T>
constexpr bool kIsInt = std::is_integral_v<T> && !std::is_same_v<T, bool>;

}  // namespace

GgufFile::GgufFile(const fs::path& path) {
  GgufPart part = read_gguf_part(path);
  const GgufSplit split = read_gguf_split(part);
  if (split.count < 2) {
    add(std::move(part));
    return;
  }
  const std::vector<fs::path> parts = gguf_parts_beside(path, split);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (static_cast<int64_t>(i) == split.index) {
      add(std::move(part));
      continue;
    }
    GgufPart sibling = read_gguf_part(parts[i]);
    check_gguf_part(sibling, {static_cast<int64_t>(i), split.count});
    add(std::move(sibling));
  }
  if (find(kGgufSplitTensors) != nullptr)
    if (const int64_t count = get_int(kGgufSplitTensors, 0, INT64_MAX); !std::cmp_equal(count, tensors_.size()))
      fail(ErrorKind::kBadFile, "gguf: {}: {} tensors in {} parts, expected {} ({}); the parts are not of one model",
           this->path().string(), tensors_.size(), split.count, count, kGgufSplitTensors);
}

void GgufFile::add(GgufPart part) {
  if (mappings_.empty()) {
    version_ = part.version;
    alignment_ = part.alignment;
    values_ = std::move(part.values);
    for (size_t i = 0; i < values_.size(); ++i) value_index_.emplace(values_[i].key, i);
  }
  for (GgufTensor& tensor : part.tensors) {
    if (!tensor_index_.emplace(tensor.name, tensors_.size()).second)
      fail(ErrorKind::kBadFile, "gguf: {}: tensor {} is in an earlier part too; the parts are not of one model",
           part.mapping->path().string(), in_quotes(tensor.name));
    tensors_.push_back(std::move(tensor));
  }
  mappings_.push_back(std::move(part.mapping));
}

std::vector<fs::path> GgufFile::paths() const {
  std::vector<fs::path> paths;
  for (const auto& mapping : mappings_) paths.push_back(mapping->path());
  return paths;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = value_index_.find(key);
  return it == value_index_.end() ? nullptr : &values_[it->second].value;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto it = tensor_index_.find(name);
  return it == tensor_index_.end() ? nullptr : &tensors_[it->second];
}

const GgufValue& GgufFile::need(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) fail(ErrorKind::kBadFile, "gguf: {}: key {} is missing", path().string(), in_quotes(key));
  return *value;
}

void GgufFile::wrong_kind(std::string_view key, const char* expected) const {
  fail(ErrorKind::kBadFile, "gguf: {}: key {}: expected {}, got {}", path().string(), in_quotes(key), expected,
       gguf_type_name(need(key)));
}

int64_t GgufFile::get_int(std::string_view key, int64_t min, int64_t max) const {
  const std::vector<int64_t> values = get_ints(key, min, max);
  if (values.size() != 1) wrong_kind(key, "an integer");
  return values[0];
}

std::vector<int64_t> GgufFile::get_ints(std::string_view key, int64_t min, int64_t max) const {
  const auto checked = [&](auto number) {
    if (std::cmp_less(number, min) || std::cmp_greater(number, max))
      fail(ErrorKind::kBadFile, "gguf: {}: key {}: expected an integer in [{}, {}], got {}", path().string(),
           in_quotes(key), min, max, number);
    return static_cast<int64_t>(number);
  };
  return std::visit(
      [&]<class T>(const T& value) -> std::vector<int64_t> {
        if constexpr (kIsInt<T>) {
          return {checked(value)};
        } else if constexpr (IsVector<T>::value) {
          if constexpr (kIsInt<typename T::value_type>) {
            std::vector<int64_t> result;
            for (const auto number : value) result.push_back(checked(number));
            return result;
          }
        }
        wrong_kind(key, "integers");
      },
      need(key));
}

double GgufFile::get_number(std::string_view key) const {
  return std::visit(
      [&]<class T>(const T& value) -> double {
        if constexpr (kIsInt<T> || std::is_floating_point_v<T>) return static_cast<double>(value);
        wrong_kind(key, "a number");
      },
      need(key));
}

bool GgufFile::get_bool(std::string_view key) const {
  if (const bool* value = std::get_if<bool>(&need(key))) return *value;
  wrong_kind(key, "a boolean");
}

const std::string& GgufFile::get_string(std::string_view key) const {
  if (const auto* value = std::get_if<std::string>(&need(key))) return *value;
  wrong_kind(key, "a string");
}

const std::vector<std::string>& GgufFile::get_strings(std::string_view key) const {
  if (const auto* value = std::get_if<std::vector<std::string>>(&need(key))) return *value;
  wrong_kind(key, "an array of strings");
}

const std::vector<float>& GgufFile::get_floats(std::string_view key) const {
  if (const auto* value = std::get_if<std::vector<float>>(&need(key))) return *value;
  wrong_kind(key, "a float32 array");
}

std::string gguf_type_name(const GgufValue& value) {
  static constexpr const char* kNames[] = {"uint8", "int8",   "uint16", "int16",  "uint32", "int32",  "float32",
                                           "bool",  "string", "array",  "uint64", "int64",  "float64"};
  return std::visit(
      []<class T>(const T&) -> std::string {
        if constexpr (IsVector<T>::value) {
          return kNames[gguf_type_code<typename T::value_type>()] + std::string(" array");
        } else {
          return kNames[gguf_type_code<T>()];
        }
      },
      value);
}

}  // namespace vernier
