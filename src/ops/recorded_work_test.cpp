#include "ops/recorded_work.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/expect_error.h"

namespace vernier {
namespace {

TEST(RecordedWork, TheCpuRecordsNothing) {
  EXPECT_FALSE(RecordedWork::is_available(at::kCPU));
  if (!at::hasCUDA()) expect_error(ErrorKind::kUnsupported, {"CUDA"}, [] { RecordedWork(at::kCPU, [] {}); });
}

TEST(RecordedWork, IsDoneAgainWithWhatStandsInTheSameMemory) {
  if (!at::hasCUDA()) GTEST_SKIP() << "libtorch has no CUDA here";
  const at::Tensor a = at::ones({64, 64}, at::kCUDA), b = at::full({64, 64}, 2.0, at::kCUDA);
  at::Tensor sum;
  RecordedWork work(at::kCUDA, [&] { sum = at::matmul(a, b).sum(); });
  for (const double value : {1.0, 3.0}) {
    a.fill_(value);
    work.replay();
    EXPECT_EQ(sum.item<double>(), value * 2 * 64 * 64 * 64);
  }
  expect_error(ErrorKind::kUnsupported, {"cannot be recorded"},
               [&] { RecordedWork(at::kCUDA, [&] { sum = a * a.sum().item<double>(); }); });
}

}  // namespace
}  // namespace vernier
