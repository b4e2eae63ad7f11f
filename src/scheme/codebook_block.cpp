#include "scheme/codebook_block.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace vernier {

namespace {

constexpr int kLargestSegment = 32, kCodebookPolish = 3;

/// The largest weight is put at these multiples of the largest magnitude: alignments, then clipping of ever more.
constexpr float kReach[] = {0.75f, 0.8f, 0.85f, 0.9f, 0.95f, 1.0f, 1.06f, 1.13f, 1.22f, 1.4f, 1.7f, 2.1f};

}  // namespace

float CodebookSubBlocks::error(int j, float scale) const {
  std::array<Code, kLargestSegment> codes;
  const float *x = x_ + j * n_, *w = w_ + j * n_;
  book_.nearest_jointly(scale, x, w, n_, codes.data());
  float sum = 0.0f;
  for (int i = 0; i < n_; ++i) {
    const float error = scale * book_.level(codes[static_cast<size_t>(i)]) - x[i];
    sum += w[i] * error * error;
  }
  return sum;
}

CodeSums CodebookSubBlocks::sums(int j, float scale) const {
  std::array<Code, kLargestSegment> codes;
  const float *x = x_ + j * n_, *w = w_ + j * n_;
  book_.nearest_jointly(scale, x, w, n_, codes.data());
  CodeSums sums;
  for (int i = 0; i < n_; ++i) {
    const float level = book_.level(codes[static_cast<size_t>(i)]), weighted = w[i] * level;
    sums.q += weighted;
    sums.qq += weighted * level;
    sums.qx += weighted * x[i];
  }
  return sums;
}

float CodebookSubBlocks::ideal(int j) const {
  float peak = 0.0f;
  for (int i = 0; i < n_; ++i) peak = std::max(peak, std::fabs(x_[j * n_ + i]));
  if (peak == 0.0f) return 0.0f;
  float best = 0.0f;
  double explained = -1.0;  // of sum w x^2, the part that is not error
  const auto consider = [&](float scale) {
    const CodeSums of_codes = sums(j, scale);
    const double fitted = of_codes.qx / static_cast<double>(of_codes.qq), score = fitted * of_codes.qx;
    if (!(score > explained) || !(fitted > 0.0)) return false;
    explained = score;
    best = static_cast<float>(fitted);
    return true;
  };
  const float unit = peak / book_.level(book_.top_code());
  for (const float reach : kReach) consider(unit * reach);
  for (int round = 0; round < kCodebookPolish && consider(best); ++round) continue;
  return best;
}

}  // namespace vernier
