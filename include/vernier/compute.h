#pragma once

// How to compute, shared by every stage that runs the model.

#include <cstdint>
#include <string>

namespace vernier {

/// Type of the multiplied values; sums, the residual stream and logits are float32 in both.
enum class ComputeType {
  kFloat32,
  kBFloat16,  ///< about twice as fast; its own noise (KL about 1e-4 nats) hides mild damage
};

/// What matrices are multiplied with.
enum class Activations {
  kExact,
  kLlamaCpp,  ///< rounded as llama.cpp's CPU kernels do beside a matrix of its stored scheme: mostly to 8 bits
};

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
