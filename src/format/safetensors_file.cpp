#include "format/safetensors_file.h"

#include <algorithm>

#include "base/fail.h"
#include "base/json.h"
#include "format/bytes.h"

namespace vernier {

namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
constexpr size_t kMaxRank = 64;

struct RawTensor {
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<uint64_t> offsets;
};

struct Header {
  std::map<std::string, RawTensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Accepts exactly {"__metadata__": {name: text}, name: {"dtype": text, "shape": [n...], "data_offsets": [n, n]}}.
/// Event by event, so that duplicates are seen, nothing nests deeper than the format does, and memory stays a small
/// multiple of the header.
class HeaderParser {
 public:
  HeaderParser(const std::string& path, Header* header) : path_(path), header_(header) {}

  bool start_object(size_t) {
    if (state_ == State::kStart) {
      state_ = State::kTop;
    } else if (state_ == State::kTop) {
      state_ = name_ == "__metadata__" ? State::kMetadata : State::kTensor;
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool key(std::string& text) {
    if (state_ == State::kTop) {
      name_ = text;
      const bool metadata = text == "__metadata__";
      if (metadata ? has_metadata_ : header_->tensors.contains(text))
        fail(ErrorKind::kBadFile, "safetensors: {}: duplicate name {} in the header", path_, in_quotes(text));
      has_metadata_ |= metadata;
      if (!metadata) tensor_ = &header_->tensors[text];
      seen_ = 0;
    } else if (state_ == State::kMetadata) {
      if (!header_->metadata.try_emplace(text).second)
        fail(ErrorKind::kBadFile, "safetensors: {}: duplicate key {} in __metadata__", path_, in_quotes(text));
      field_ = text;
    } else {
      const unsigned bit = text == "dtype" ? 1 : text == "shape" ? 2 : text == "data_offsets" ? 4 : 0;
      if (bit == 0 || (seen_ & bit) != 0)
        fail(ErrorKind::kBadFile, "safetensors: {}: tensor {}: {} field {} in the header", path_, in_quotes(name_),
             bit == 0 ? "unknown" : "duplicate", in_quotes(text));
      seen_ |= bit;
      field_ = text;
    }
    return true;
  }

  bool end_object() {
    if (state_ == State::kTensor && (seen_ != 7 || tensor_->offsets.size() != 2))
      fail(ErrorKind::kBadFile, "safetensors: {}: tensor {}: expected dtype, shape and two data_offsets", path_,
           in_quotes(name_));
    state_ = state_ == State::kTop ? State::kDone : State::kTop;
    return true;
  }

  bool start_array(size_t) {
    if (state_ != State::kTensor || field_ == "dtype") unexpected("an array");
    state_ = field_ == "shape" ? State::kShape : State::kOffsets;
    return true;
  }

  bool end_array() {
    state_ = State::kTensor;
    return true;
  }

  bool string(std::string& text) {
    if (state_ == State::kMetadata) {
      header_->metadata[field_] = text;
    } else if (state_ == State::kTensor && field_ == "dtype") {
      tensor_->dtype = text;
    } else {
      unexpected("a string");
    }
    return true;
  }

  bool number_unsigned(uint64_t number) {
    if (state_ == State::kShape) {
      if (number > static_cast<uint64_t>(INT64_MAX)) unexpected("a dimension beyond int64");
      if (tensor_->shape.size() == kMaxRank) unexpected("more than 64 dimensions");
      tensor_->shape.push_back(static_cast<int64_t>(number));
    } else if (state_ == State::kOffsets && tensor_->offsets.size() < 2) {
      tensor_->offsets.push_back(number);
    } else {
      unexpected("a number");
    }
    return true;
  }

  bool number_integer(int64_t) { unexpected("a negative number"); }
  bool number_float(double, const std::string&) { unexpected("a number that is no 64-bit integer"); }
  bool null() { unexpected("null"); }
  bool boolean(bool) { unexpected("a boolean"); }
  bool binary(Json::binary_t&) { unexpected("binary data"); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) {
    fail(ErrorKind::kBadFile, "safetensors: {}: the header is not valid JSON at its byte {}; download the file again",
         path_, position);
  }

 private:
  enum class State { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kDone };

  [[noreturn]] void unexpected(const char* what) const {
    if (state_ == State::kStart)
      fail(ErrorKind::kBadFile, "safetensors: {}: expected the header to be an object, got {}", path_, what);
    const std::string_view field = state_ == State::kTop ? "value" : std::string_view(field_);
    fail(ErrorKind::kBadFile, "safetensors: {}: header entry {}: {}: {} is not allowed here", path_, in_quotes(name_),
         in_quotes(field), what);
  }

  const std::string& path_;
  Header* header_;
  State state_ = State::kStart;
  std::string name_;   // current tensor
  std::string field_;  // current field of it, or metadata key
  RawTensor* tensor_ = nullptr;
  unsigned seen_ = 0;  // bits of the fields met
  bool has_metadata_ = false;
};

/// The header's text, after the checks that need no JSON.
std::string_view header_text(std::span<const std::byte> bytes, const std::string& path) {
  uint64_t length = 0;
  std::string defect;
  if (bytes.size() < 8) {
    defect = fmt::format("truncated: {} bytes, expected at least 8", bytes.size());
  } else if (length = load_bytes<uint64_t>(bytes.data()); length < 2 || length > kMaxHeaderBytes) {
    defect = fmt::format("header length {}, expected 2 to {}", length, kMaxHeaderBytes);
  } else if (length > bytes.size() - 8) {
    defect = fmt::format("truncated: the header needs {} bytes, the file has {}; download it again", length,
                         bytes.size() - 8);
  } else if (bytes[8] != std::byte{'{'}) {
    defect = "the header does not begin with '{'";
  }
  if (defect.empty()) return {reinterpret_cast<const char*>(bytes.data()) + 8, length};
  const ForeignFile foreign = sniff(bytes);
  if (foreign != ForeignFile::kNone && foreign != ForeignFile::kSafetensors) defect = foreign_text(foreign);
  fail(foreign == ForeignFile::kPickle ? ErrorKind::kUnsupported : ErrorKind::kBadFile, "safetensors: {}: {}", path,
       defect);
}

/// One tensor with its view; `data` is everything behind the header.
SafetensorsEntry make_entry(const std::string& name, RawTensor&& raw, std::span<const std::byte> data,
                            const std::string& path) {
  const uint64_t begin = raw.offsets[0], end = raw.offsets[1];
  if (begin > end)
    fail(ErrorKind::kBadFile, "safetensors: {}: tensor {}: data_offsets end ({}) before they begin ({})", path,
         in_quotes(name), end, begin);
  if (end > data.size())
    fail(ErrorKind::kBadFile,
         "safetensors: {}: tensor {}: data ends at byte {}, the file has {} data bytes: truncated; download it again",
         path, in_quotes(name), end, data.size());
  uint64_t count = 0, bits = 0;
  if (!count_elements(raw.shape, &count))
    fail(ErrorKind::kBadFile, "safetensors: {}: tensor {}: the element count of shape {} overflows", path,
         in_quotes(name), shape_text(raw.shape));
  const unsigned item_bits = dtype_name_bits(raw.dtype);
  if (item_bits != 0 && (multiply_overflows(count, item_bits, &bits) || bits % 8 != 0 || bits / 8 != end - begin))
    fail(ErrorKind::kBadFile, "safetensors: {}: tensor {}: {} {} does not fill the {} bytes of its data_offsets", path,
         in_quotes(name), raw.dtype, shape_text(raw.shape), end - begin);
  const DType dtype = dtype_from_name(raw.dtype);
  return {name, dtype, std::move(raw.dtype), std::move(raw.shape), data.subspan(begin, end - begin)};
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : mapping_(std::make_unique<MappedFile>(path)) {
  const std::string name = path.string();
  const auto bytes = mapping_->bytes();
  const std::string_view text = header_text(bytes, name);
  Header header;
  HeaderParser parser(name, &header);
  Json::sax_parse(text.begin(), text.end(), &parser);
  const auto data = bytes.subspan(8 + text.size());
  metadata_ = std::move(header.metadata);
  for (auto& [tensor, raw] : header.tensors) entries_.push_back(make_entry(tensor, std::move(raw), data, name));

  // Empty tensors share their offset with a neighbour: they sort before it.
  std::stable_sort(entries_.begin(), entries_.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return a.data.data() != b.data.data() ? a.data.data() < b.data.data() : a.data.size() < b.data.size();
  });
  const std::byte* expected = data.data();
  for (const SafetensorsEntry& entry : entries_) {
    if (entry.data.data() != expected)
      fail(ErrorKind::kBadFile, "safetensors: {}: tensor {}: its data {}", name, in_quotes(entry.name),
           entry.data.data() < expected ? "overlaps that of another tensor" : "leaves a hole before it");
    expected += entry.data.size();
  }
  if (const auto rest = static_cast<size_t>(data.data() + data.size() - expected); rest != 0)
    fail(ErrorKind::kBadFile, "safetensors: {}: {} bytes behind the last tensor belong to none", name, rest);
  for (size_t i = 0; i < entries_.size(); ++i) index_.emplace(entries_[i].name, i);
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &entries_[it->second];
}

const SafetensorsEntry& SafetensorsFile::read(std::string_view name) const {
  const SafetensorsEntry* entry = find(name);
  if (entry == nullptr)
    fail(ErrorKind::kBadFile, "safetensors: {}: tensor {} is missing", path().string(), in_quotes(name));
  if (entry->dtype == DType::kOther)
    fail(ErrorKind::kUnsupported,
         "safetensors: {}: tensor {}: values of type {} cannot be read; convert the model to BF16, F16 or F32",
         path().string(), in_quotes(name), in_quotes(entry->dtype_name));
  return *entry;
}

}  // namespace vernier
