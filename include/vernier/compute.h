#pragma once

// How to compute, shared by every stage that runs the model.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "vernier/site.h"

namespace vernier {

/// Type of the multiplied values; sums, the residual stream and logits are float32 in both.
enum class ComputeType {
  kFloat32,
  kBFloat16,  ///< about twice as fast; its own noise (KL about 1e-4 nats) hides mild damage
};

/// What matrices are multiplied with.
class Activations {
 public:
  enum class Kind : uint8_t {
    kExact,
    kLlamaCpp,   ///< rounded as llama.cpp's CPU kernels do beside a matrix of its stored scheme: mostly to 8 bits
    kPerToken,   ///< every row to a symmetric integer grid of its own range (dynamic)
    kPerTensor,  ///< all rows of a site to that of the largest magnitude that calibrating saw there (static)
  };
  static const Activations kExact, kLlamaCpp;

  constexpr Activations() = default;
  constexpr explicit Activations(Kind kind, int bits = 0) : kind_(kind), bits_(bits) {}
  /// "exact", "llama.cpp"; "int2:token" .. "int8:token" and "int2:tensor" .. "int8:tensor", with or without ":sym7", as
  /// schemes are spelled. @throws Error{kInvalidArgument} that lists what exists
  static Activations parse(std::string_view text);
  /// The canonical spelling, such as "int8:token:sym7"; parse(name()) == *this.
  std::string name() const;

  constexpr Kind kind() const { return kind_; }
  constexpr int bits() const { return bits_; }  ///< of integers, otherwise 0
  constexpr bool operator==(const Activations&) const = default;

 private:
  Kind kind_ = Kind::kExact;
  int bits_ = 0;
};
inline constexpr Activations Activations::kExact{};
inline constexpr Activations Activations::kLlamaCpp{Activations::Kind::kLlamaCpp};

/// The largest magnitude at every site, from a calibration: what Activations::Kind::kPerTensor spans. Where it is 0, as of
/// an expert that calibrating fed nothing, each row has its own range.
using ActivationRanges = std::map<SiteId, float>;

struct ComputeOptions {
  ComputeType type = ComputeType::kFloat32;
  int threads = 0;  ///< sequences in flight, at most available_processors(); 0: as many
  /// "cpu" runs packed weights and one sequence per thread; "cuda" and "cuda:1" a GPU; "aten" the same plain operations as
  /// those on the CPU, slowly.
  std::string device = "cpu";
};

/// Processors that this process may use: by its affinity and, in a container, by its share of processor time (control
/// groups), rounded up. At least 1; asked of the system once.
int available_processors();

/// options.threads, but no more than available_processors(), and that many when it is 0: threads beyond it only make each
/// other wait, several times slower, and each takes memory. Results do not depend on the number.
int resolve_threads(const ComputeOptions& options);

/// Tunes the process for tensor work: allocator thresholds, thread counts of the tensor library. Call once at start-up
/// of a program; the library works without it, slower.
void configure_process(int threads);

/// Gives the system back what was freed: between stages, so that one does not hold what another needed.
void release_free_memory();

}  // namespace vernier
