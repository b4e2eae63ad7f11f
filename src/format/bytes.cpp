#include "format/bytes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

namespace vernier {

bool count_elements(std::span<const int64_t> shape, uint64_t* count) {
  uint64_t product = 1;
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0) return false;
    empty |= dim == 0;
    if (multiply_overflows(product, std::max<uint64_t>(static_cast<uint64_t>(dim), 1), &product)) return false;
  }
  *count = empty ? 0 : product;
  return product <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
}

std::string in_quotes(std::string_view name) {
  constexpr size_t kMax = 100;
  std::string text = "\"";
  for (const char c : name.substr(0, kMax)) text += c >= 0x20 && c < 0x7f ? c : '?';
  return text + (name.size() > kMax ? "...\"" : "\"");
}

std::string shape_text(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

ForeignFile sniff(std::span<const std::byte> bytes) {
  using namespace std::string_view_literals;
  if (bytes.empty()) return ForeignFile::kEmpty;
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 64));
  if (start.starts_with("PK\x03\x04"sv)) return ForeignFile::kPickle;  // torch.save since 1.6: a zip that holds one
  if (start.size() >= 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5) return ForeignFile::kPickle;
  if (start.starts_with("version https://git-lfs")) return ForeignFile::kLfsPointer;
  if (start.starts_with("<!DOCTYPE") || start.starts_with("<!doctype") || start.starts_with("<html"))
    return ForeignFile::kHtml;
  if (start.starts_with("\x1f\x8b"sv)) return ForeignFile::kGzip;
  if (start.starts_with("GGUF")) return ForeignFile::kGguf;
  for (const std::string_view magic : {"lmgg"sv, "fmgg"sv, "tjgg"sv, "algg"sv})
    if (start.starts_with(magic)) return ForeignFile::kOldGgml;
  if (start.size() >= 10 && load_bytes<uint64_t>(bytes.data()) <= 100'000'000 && start[8] == '{')
    return ForeignFile::kSafetensors;
  return ForeignFile::kNone;
}

std::string_view foreign_text(ForeignFile kind) {
  switch (kind) {
    case ForeignFile::kNone: return "";
    case ForeignFile::kEmpty: return "the file is empty; download it again";
    case ForeignFile::kPickle:
      return "this is a Python pickle, which can run any code when it is read and is therefore refused; convert it to "
             "safetensors with safetensors.torch.save_file or save_pretrained(safe_serialization=True)";
    case ForeignFile::kLfsPointer:
      return "this is a git-lfs pointer, not the data; run `git lfs pull` or download the file itself";
    case ForeignFile::kHtml: return "this is a web page, not the data; the download probably asked for a login";
    case ForeignFile::kGzip: return "this is a gzip archive; unpack it first";
    case ForeignFile::kGguf: return "this is a GGUF file; name it *.gguf";
    case ForeignFile::kOldGgml: return "this is a GGML file from before GGUF; convert the original model again";
    case ForeignFile::kSafetensors: return "this is a safetensors file; name it *.safetensors";
  }
  return "";
}

}  // namespace vernier
