#pragma once

// The values of a GGUF file's metadata: scalars, strings and arrays of them, with the types that the file gives them.
//
//   GgufValue epsilon = 1e-5f;                                  // a float32, not a double
//   GgufValue tokens = std::vector<std::string>{"<s>", "a"};
//   gguf_type_name(tokens) == "string array"

#include <cstdint>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace vernier {

using GgufValue =
    std::variant<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, float, bool, std::string, uint64_t, int64_t,
                 double, std::vector<uint8_t>, std::vector<int8_t>, std::vector<uint16_t>, std::vector<int16_t>,
                 std::vector<uint32_t>, std::vector<int32_t>, std::vector<float>, std::vector<bool>,
                 std::vector<std::string>, std::vector<uint64_t>, std::vector<int64_t>, std::vector<double>>;

struct GgufKeyValue {
  std::string key;
  GgufValue value;
};

inline constexpr uint32_t kGgufArray = 9;
inline constexpr size_t kMaxGgufKeyBytes = 65535;

/// Type code of a scalar or string in the file.
template <class T>
constexpr uint32_t gguf_type_code() {
  if constexpr (std::is_same_v<T, uint8_t>)
    return 0;
  else if constexpr (std::is_same_v<T, int8_t>)
    return 1;
  else if constexpr (std::is_same_v<T, uint16_t>)
    return 2;
  else if constexpr (std::is_same_v<T, int16_t>)
    return 3;
  else if constexpr (std::is_same_v<T, uint32_t>)
    return 4;
  else if constexpr (std::is_same_v<T, int32_t>)
    return 5;
  else if constexpr (std::is_same_v<T, float>)
    return 6;
  else if constexpr (std::is_same_v<T, bool>)
    return 7;
  else if constexpr (std::is_same_v<T, std::string>)
    return 8;
  else if constexpr (std::is_same_v<T, uint64_t>)
    return 10;
  else if constexpr (std::is_same_v<T, int64_t>)
    return 11;
  else if constexpr (std::is_same_v<T, double>)
    return 12;
}

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

/// "uint32", "string", "float32 array", ... for messages and listings.
std::string gguf_type_name(const GgufValue& value);

}  // namespace vernier
