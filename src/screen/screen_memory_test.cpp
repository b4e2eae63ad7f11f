#include "screen/screen_memory.h"

#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include "screen/gradient_tile.h"
#include "screen/layer_backward.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/warnings.h"

namespace vernier {
namespace {

/// What tensors of this thread hold.
struct HeldBytes : c10::MemoryReportingInfoBase {
  int64_t now = 0, most = 0;
  void count(int64_t bytes) {
    now += bytes;
    most = std::max(most, now);
  }
  // The type of the totals differs between versions of the tensor library: one of these is what it calls.
  void reportMemoryUsage(void*, int64_t bytes, int64_t, int64_t, c10::Device) { count(bytes); }
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) { count(bytes); }
  bool memoryProfilingEnabled() const override { return true; }
};

int64_t measured_backward_bytes(const Model& model, int64_t positions) {
  const AtenModel aten(model, positions, AtenModel::Place{at::kCPU, at::kFloat, /*layer_by_layer=*/true});
  const AtenBlock block = aten.block(0);
  const at::Tensor stream = at::randn({1, positions, model.config().hidden});
  const at::Tensor by_leaving = at::randn_like(stream);
  const auto held = std::make_shared<HeldBytes>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, held);
  at::Tensor buffer;
  const std::vector<const float*> none;
  layer_backward(
      aten, model.blueprint(), block, 0, stream, by_leaving,
      [&](const TensorId& id, const at::Tensor& inputs, const at::Tensor& by_output) {
        const std::vector<int64_t> shape = model.shape(id);
        GradientOf{SliceGrid(shape[0], shape[1], {}), by_output.reshape({inputs.size(0), -1}), inputs, none}.all(
            buffer);
      });
  return held->most;
}

TEST(LayerBackwardBytes, BoundWhatASequenceHolds) {
  for (const std::string& name : fixture_names()) {
    const Model model = fixture_model(name);
    for (const int64_t positions : {24, 48}) {
      const int64_t bound = layer_backward_bytes(model.config(), 1, positions),
                    measured = measured_backward_bytes(model, positions);
      EXPECT_GE(bound, measured) << name << ", " << positions << " positions";
      EXPECT_LE(bound, 3 * measured) << name << ", " << positions << " positions";
    }
  }
}

constexpr int64_t kMiB = int64_t{1} << 20;

PassSize large() {
  return {.layers = 30,
          .windows = 16,
          .positions = 511,
          .streams_bytes = 100 * kMiB,
          .always_bytes = 300 * kMiB,
          .forward_bytes = 80 * kMiB,
          .backward_bytes = 250 * kMiB,
          .tile_bytes = 16 * kMiB};
}

TEST(ShareMemory, AsManySequencesAsFitBesideTheLeastStreams) {
  // In front of every 5th layer, 6, and 4 in between: 1000 MiB.
  const PassSize size = large();
  EXPECT_EQ(least_memory(size, {}), (300 + 1000 + 250) * kMiB);
  const auto shared = [&](int64_t mib) { return share_memory(size, {.memory_bytes = mib * kMiB}, 10, nullptr); };
  EXPECT_EQ(shared(1550).backward, 1);
  EXPECT_EQ(shared(1550).streams_bytes, 1000 * kMiB);
  EXPECT_EQ(shared(1550).products, 7) << "half of a sequence's 250 MiB in tiles of 16";
  EXPECT_EQ(shared(1550).forward, 3);
  EXPECT_EQ(shared(2100).backward, 3);
  EXPECT_EQ(shared(2100).products, 10);
  EXPECT_EQ(shared(4000).backward, 10) << "no more than threads";
  EXPECT_EQ(shared(4000).streams_bytes, 1200 * kMiB);
  EXPECT_EQ(share_memory(size, {.memory_bytes = 100000 * kMiB}, 64, nullptr).backward, 16) << "no more than sequences";
}

TEST(ShareMemory, SaysHowMuchIsTheLeast) {
  expect_error(ErrorKind::kInvalidArgument, {"memory", "1549 MiB", "at least 1551", "511 positions", "16 sequences"},
               [] { share_memory(large(), {.memory_bytes = 1549 * kMiB}, 4, nullptr); });
  EXPECT_NO_THROW(
      share_memory(large(), {.memory_bytes = least_memory(large(), {.limit = true}), .limit = true}, 4, nullptr));
  expect_error(ErrorKind::kInvalidArgument, {"memory"}, [] {
    share_memory(large(), {.memory_bytes = least_memory(large(), {.limit = true}) - 4, .limit = true}, 4, nullptr);
  });
}

TEST(ShareMemory, ByItselfFollowsTheThreads) {
  PassSize size = large();
  size.backward_bytes = 1 * kMiB;
  EXPECT_EQ(share_memory(size, {}, 4, nullptr).backward, 4);
  size.backward_bytes = int64_t{1} << 60;  // no machine has it: one at a time, and no error
  Warnings sink;
  EXPECT_EQ(share_memory(size, {}, 4, &sink).backward, 1);
  EXPECT_EQ(sink.all.size(), 1u);
}

}  // namespace
}  // namespace vernier
