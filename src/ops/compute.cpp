#include "vernier/compute.h"

#include <ATen/Parallel.h>
#include <malloc.h>
#include <omp.h>

#include <algorithm>

#include "ops/cgroup.h"

namespace vernier {

int available_processors() {
  static const int processors = [] {
    const int allowed = std::max(1, omp_get_num_procs());  // affinity, as of taskset and cpusets
    return std::min(allowed, cgroup_processors("/proc/self/cgroup", "/sys/fs/cgroup").value_or(allowed));
  }();
  return processors;
}

int resolve_threads(const ComputeOptions& options) {
  const int available = available_processors();
  return options.threads > 0 ? std::min(options.threads, available) : available;
}

void configure_process(int threads) {
  // glibc otherwise returns every large tensor to the kernel and faults its pages in again at the next one.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  at::set_num_threads(threads);
  omp_set_num_threads(threads);
}

void release_free_memory() { malloc_trim(0); }

}  // namespace vernier
