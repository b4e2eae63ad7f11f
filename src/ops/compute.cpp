#include "vernier/compute.h"

#include <ATen/Parallel.h>
#include <malloc.h>
#include <omp.h>

#include <algorithm>

namespace vernier {

int resolve_threads(const ComputeOptions& options) {
  return options.threads > 0 ? options.threads : std::max(1, omp_get_num_procs());
}

void configure_process(int threads) {
  // glibc otherwise returns every large tensor to the kernel and faults its pages in again at the next one.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  at::set_num_threads(threads);
  omp_set_num_threads(threads);
}

}  // namespace vernier
