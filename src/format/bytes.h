#pragma once

// What both container readers need to meet hostile bytes: little-endian loads, arithmetic that notices overflow, names
// that are safe to print, and a guess at what a file is when it is not what its name says.
//
//   uint64_t end;
//   if (add_overflows(offset, size, &end) || end > file.size()) fail(ErrorKind::kBadFile, "{}: ...", in_quotes(name));

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace vernier {

static_assert(std::endian::native == std::endian::little, "both formats are little-endian and are mapped as they are");

/// `bytes` holds at least sizeof(T) bytes; no alignment is needed.
template <class T>
T load_bytes(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

inline bool add_overflows(uint64_t a, uint64_t b, uint64_t* sum) { return __builtin_add_overflow(a, b, sum); }
inline bool multiply_overflows(uint64_t a, uint64_t b, uint64_t* product) {
  return __builtin_mul_overflow(a, b, product);
}

/// Product of the dimensions; 1 for none, 0 if one is 0. False when one is negative, or when the product of the
/// non-zero ones exceeds int64, so that no later size can overflow by reordering.
bool count_elements(std::span<const int64_t> shape, uint64_t* count);

/// A name from a file, in double quotes, for a message: at most 100 characters, all but printable ASCII as "?".
std::string in_quotes(std::string_view name);
/// "[2, 3]"
std::string shape_text(std::span<const int64_t> shape);

enum class ForeignFile { kNone, kEmpty, kPickle, kLfsPointer, kHtml, kGzip, kGguf, kOldGgml, kSafetensors };
/// Guesses by the first bytes. kNone: nothing known. Meant for the failure path, since a valid safetensors header
/// length can begin like a pickle.
ForeignFile sniff(std::span<const std::byte> bytes);
/// What `sniff` found, as the middle of a sentence with a next step: "this is a git-lfs pointer, ...". Empty for kNone.
std::string_view foreign_text(ForeignFile kind);

}  // namespace vernier
