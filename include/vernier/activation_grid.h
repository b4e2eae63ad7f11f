#pragma once

// What activations are rounded to, site by site: integers of a range that a token, a channel or the whole site shares,
// and the formats of the attention cache. Compute.h's Activations rounds every matrix alike; this chooses.
//
//   const ActivationGrid grid = ActivationGrid::parse("int8:tensor:entropy");

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/site.h"

namespace vernier {

class Model;

/// A symmetric integer grid: codes -(2^(bits-1) - 1) ... 2^(bits-1) - 1, the largest magnitude of its range being the
/// last of them (":sym7" of schemes).
struct ActivationGrid {
  enum class Span : uint8_t { kToken, kTensor, kChannel };  ///< what shares a range
  enum class Range : uint8_t {
    kDynamic,     ///< of the very values that are rounded: a token's, or a whole sequence's
    kLargest,     ///< static, as all below: the largest magnitude that calibrating saw
    kPercentile,  ///< 99.99 of a hundred magnitudes lie below it
    kMse,         ///< of the least mean square error
    kEntropy,     ///< of the least KL divergence of the histograms
  };
  int bits = 8;
  Span span = Span::kToken;
  Range range = Range::kDynamic;

  /// "int8:token"; "int8:tensor" (:max, :percentile, :mse, :entropy, :dynamic); "int8:channel" (:max, :dynamic). int2
  /// to int8; without a third word tensors and channels have :max. @throws Error{kInvalidArgument} that lists what
  /// exists
  static ActivationGrid parse(std::string_view text);
  /// The canonical spelling, such as "int8:token" and "int8:tensor:max"; parse(name()) == *this.
  std::string name() const;
  bool is_static() const { return range != Range::kDynamic; }
  bool operator==(const ActivationGrid&) const = default;
};

/// How the attention cache holds the keys (after they are turned by their position) or the values of a token.
struct CacheFormat {
  enum class Kind : uint8_t {
    kExact,
    kInteger,  ///< symmetric integers, a scale per token and head in float32
    kQ8_0,     ///< llama.cpp's, 32 values a block
    kQ4_0,
    kE4M3,  ///< 8-bit floats, cast without a scale: beyond 448 they saturate
  };
  Kind kind = Kind::kExact;
  int bits = 0;  ///< of integers

  /// "exact", "int2" to "int8", "q8_0", "q4_0", "fp8". @throws Error{kInvalidArgument} that lists what exists
  static CacheFormat parse(std::string_view text);
  std::string name() const;
  bool operator==(const CacheFormat&) const = default;
};

/// The rows that enter one site, rounded.
struct SiteRounding {
  int bits = 8;
  ActivationGrid::Span span = ActivationGrid::Span::kToken;
  /// Largest magnitudes of static grids: one, or one a channel. None, or a single 0, as of an expert that calibrating
  /// fed nothing: dynamic.
  std::vector<float> ranges;
  /// Channels in which a row of the sequence reaches this magnitude are left as they are (LLM.int8(), 2208.07339, where
  /// it is 6), and the ranges are of the others. 0: none.
  float keep_from = 0;
};

/// Sites that are not named are left exact.
struct RoundedSites {
  std::map<SiteId, SiteRounding> inputs;
  std::map<SiteId, CacheFormat> caches;  ///< of Site::kKeys and Site::kValues
  /// Whose columns multiply the channels that keep_from leaves as they are, such as the model before quantizing; it
  /// must outlive every run. nullptr: the rounded model's own (as bitsandbytes does today).
  const Model* kept_weights = nullptr;
  bool none() const { return inputs.empty() && caches.empty(); }
};

}  // namespace vernier
