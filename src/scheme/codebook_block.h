#pragma once

// Super-blocks of 256 weights with a codebook of several at once (codebook.h): all but the layout of the bytes. A layout
// is a struct of static functions, from which codebook_block makes the table entry:
//
//   struct MyLayout {
//     static constexpr int kSegments = 16, kBytes = 82;               // segments share a scale
//     static constexpr ScaleLadder kLadder = {0, 15, 2, 1, 0.125f};   // value = d / 8 * (2 s + 1) * level
//     static const Codebook& book();
//     static void store_run(const Codebook::Run& run, int r, std::byte* out);   // the r-th eight weights
//     static Codebook::Run load_run(const std::byte* in, int r);
//     static void store_step(int integer, int s, std::byte* out);     // into zeros; d is in the first two bytes
//     static int load_step(const std::byte* in, int s);
//   };

#include <cstddef>

#include "scheme/codebook.h"
#include "scheme/gguf_format.h"
#include "scheme/half_float.h"
#include "scheme/little_endian.h"
#include "scheme/step_parts.h"
#include "scheme/super_block.h"

namespace vernier {

/// The search for scales, in a super-block's segments of equal length.
class CodebookSubBlocks : public SubBlocks {
 public:
  CodebookSubBlocks(const Codebook& book, int segments, const float* x, const float* w)
      : book_(book), segments_(segments), n_(kSuperBlock / segments), x_(x), w_(w) {}

  int count() const override { return segments_; }
  float ideal(int j) const override;
  float error(int j, float scale) const override;
  CodeSums sums(int j, float scale) const override;

 private:
  const Codebook& book_;
  const int segments_, n_;
  const float* const x_;
  const float* const w_;
};

/// The integers that multiply d * unit are those of the ladder's steps.
template <class Layout>
StepParts codebook_parts(const std::byte* in) {
  StepParts parts{.d = half_to_float(load_u16(in))};
  for (int s = 0; s < Layout::kSegments; ++s)
    parts.scale[static_cast<size_t>(s)] = Layout::kLadder.slope * Layout::load_step(in, s) + Layout::kLadder.intercept;
  return parts;
}

template <class Layout>
void store_codebook_steps(float d, const std::array<int, StepParts::kMostSegments>& steps, std::byte* out) {
  for (int i = 0; i < Layout::kBytes; ++i) out[i] = std::byte{0};
  store_u16(float_to_half(d), out);
  for (int s = 0; s < Layout::kSegments; ++s) Layout::store_step(steps[static_cast<size_t>(s)], s, out);
}

template <class Layout>
GgufBlock codebook_block() {
  constexpr int kSegment = kSuperBlock / Layout::kSegments, kRuns = kSuperBlock / Codebook::kRun;
  constexpr ScaleLadder kLadder = Layout::kLadder;
  static constexpr StepPartsShape kParts = {
      .scale = {kLadder.slope * kLadder.lowest + kLadder.intercept, kLadder.slope * kLadder.highest + kLadder.intercept,
                kLadder.slope},
      .unit = kLadder.unit};
  const Codebook& book = Layout::book();
  return {
      .elements = kSuperBlock,
      .bytes = Layout::kBytes,
      .segments = Layout::kSegments,
      .top_code = book.top_code(),
      .fit =
          [](const float* x, const float* w, std::byte* out) {
            const ScaledSuperBlock fitted =
                fit_ladder(Layout::kLadder, CodebookSubBlocks(Layout::book(), Layout::kSegments, x, w));
            std::array<int, StepParts::kMostSegments> steps{};
            for (size_t s = 0; s < Layout::kSegments; ++s) steps[s] = fitted.scale[s];
            store_codebook_steps<Layout>(fitted.d / Layout::kLadder.unit, steps, out);
          },
      .steps =
          [](const std::byte* in, Step* steps) {
            const float d = half_to_float(load_u16(in)) * Layout::kLadder.unit;
            for (int s = 0; s < Layout::kSegments; ++s)
              steps[s].scale =
                  d * static_cast<float>(Layout::kLadder.slope * Layout::load_step(in, s) + Layout::kLadder.intercept);
          },
      .pack =
          [](const Code* codes, std::byte* out) {
            for (int r = 0; r < kRuns; ++r)
              Layout::store_run(Layout::book().run_of(codes + r * Codebook::kRun), r, out);
          },
      .unpack =
          [](const std::byte* in, Code* codes) {
            for (int r = 0; r < kRuns; ++r)
              Layout::book().codes_of(Layout::load_run(in, r), codes + r * Codebook::kRun);
          },
      .decode =
          [](const std::byte* in, float* y) {
            const float d = half_to_float(load_u16(in)) * Layout::kLadder.unit;
            for (int r = 0; r < kRuns; ++r) {
              const int integer = Layout::load_step(in, r * Codebook::kRun / kSegment);
              const float scale = d * static_cast<float>(Layout::kLadder.slope * integer + Layout::kLadder.intercept);
              Layout::book().values_of(Layout::load_run(in, r), scale, y + r * Codebook::kRun);
            }
          },
      .nearest = [](const Step& step, const float* x, int64_t n,
                    Code* codes) { Layout::book().nearest(step.scale, x, n, codes); },
      .level = [](Code code) { return Layout::book().level(code); },
      .book = &book,
      .joint = book.joint(),
      .bits_per_code = book.bits(),
      .nearest_jointly = [](const Step& step, const float* x, const float* w, int64_t n,
                            Code* codes) { Layout::book().nearest_jointly(step.scale, x, w, n, codes); },
      .parts_shape = &kParts,
      .parts = codebook_parts<Layout>,
      .store_parts =
          [](const StepParts& parts, std::byte* out) {
            std::array<Codebook::Run, kRuns> runs;
            for (int r = 0; r < kRuns; ++r) runs[static_cast<size_t>(r)] = Layout::load_run(out, r);
            std::array<int, StepParts::kMostSegments> steps{};
            for (size_t s = 0; s < Layout::kSegments; ++s)
              steps[s] = (parts.scale[s] - Layout::kLadder.intercept) / Layout::kLadder.slope;
            store_codebook_steps<Layout>(parts.d, steps, out);
            for (int r = 0; r < kRuns; ++r) Layout::store_run(runs[static_cast<size_t>(r)], r, out);
          }};
}

}  // namespace vernier
