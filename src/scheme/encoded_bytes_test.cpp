// Every scheme's stored bytes of fixed weights, as hashes: a change of the search, of rounding or of a layout shows.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/hash.h"
#include "support/golden.h"
#include "vernier/scheme.h"

namespace vernier {
namespace {

/// Nearly normal numbers by integer arithmetic alone, so that every standard library makes the same ones.
class Numbers {
 public:
  float next() {
    int64_t sum = 0;
    for (int i = 0; i < 6; ++i) {
      state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
      sum += static_cast<int64_t>(state_ >> 40) - (int64_t{1} << 23);
    }
    return static_cast<float>(sum) * 0x1p-30f;
  }

 private:
  uint64_t state_ = 7;
};

constexpr int64_t kCols = 768;

/// A row of each character that a search treats in its own way.
std::vector<float> weights(int64_t* rows) {
  Numbers numbers;
  std::vector<float> out;
  const auto row = [&](auto&& value) {
    for (int64_t c = 0; c < kCols; ++c) out.push_back(value(c, numbers.next()));
  };
  for (int i = 0; i < 4; ++i) row([](int64_t, float x) { return x; });
  row([](int64_t, float x) { return x * x * x * 1e4f; });                             // heavy tails
  row([](int64_t, float x) { return std::fabs(x); });                                 // one sign
  row([](int64_t, float x) { return -0.02f - std::fabs(x); });                        // the other, away from zero
  row([](int64_t c, float x) { return c % 97 == 5 ? 1.5f : x; });                     // outliers
  row([](int64_t c, float x) { return c < 300 ? 0.0f : c < 500 ? x : -0.7f; });       // zeros, flat runs
  row([](int64_t c, float x) { return c % 3 == 0 ? x * 1e-11f : -0.0f; });            // about what counts as zero
  row([](int64_t, float x) { return x * 1e-5f; });                                    // scales in denormal halves
  row([](int64_t c, float x) { return c % 256 == 1 ? -3e38f : x * 1e7f; });           // beyond every half
  row([](int64_t c, float) { return static_cast<float>(c % 16) * 0.0625f - 0.5f; });  // on a grid
  *rows = static_cast<int64_t>(out.size()) / kCols;
  return out;
}

std::string hash_of(const Scheme& scheme, std::span<const float> weight, int64_t rows,
                    std::span<const float> importance) {
  std::vector<std::byte> stored(scheme.bytes(rows, kCols));
  encode(scheme, weight, rows, kCols, importance, stored);
  Hasher hasher;
  hasher.add(std::span<const std::byte>(stored));
  return hasher.hex();
}

TEST(EncodedBytes, AreTheSameAsEver) {
  int64_t rows = 0;
  const std::vector<float> weight = weights(&rows);
  std::vector<float> importance(static_cast<size_t>(kCols));
  Numbers numbers;
  for (float& value : importance) value = std::fabs(numbers.next()) * std::fabs(numbers.next()) * 1e3f;
  importance[40] = 0.0f;

  std::vector<std::string> names = gguf_scheme_names();
  for (const char* bits : {"int2", "int3", "int4", "int5", "int6", "int7", "int8"})
    for (const char* granularity : {":tensor", ":channel", ":g32", ":g24"})
      for (const char* symmetry : {":sym", ":sym7", ":asym"})
        names.push_back(std::string(bits) + granularity + symmetry);
  for (const char* name : {"fp8:e4m3:tensor", "fp8:e4m3:channel", "mxfp4", "nvfp4"}) names.emplace_back(name);
  std::string table;
  for (const std::string& name : names) {
    const Scheme scheme = Scheme::parse(name);
    table += name + " " + hash_of(scheme, weight, rows, {}) + " " + hash_of(scheme, weight, rows, importance) + "\n";
  }
  expect_golden("scheme/encoded_bytes.txt", table);
}

}  // namespace
}  // namespace vernier
