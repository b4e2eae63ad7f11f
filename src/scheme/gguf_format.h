#pragma once

// Formats of ggml's blocks: a row of weights is a whole number of blocks, each a few scales and its codes. A block is a
// struct of static functions, from which gguf_block makes the table entry:
//
//   struct MyBlock : UniformLevels<-8, 7> {                             // or level(), nearest() and kTopCode of its own
//     static constexpr int kElements = 32, kSegments = 1, kBytes = 18;  // kBytes: checked against ggml's table
//     static void fit(const float* x, const float* w, std::byte* out);  // writes the scales
//     static void steps(const std::byte* in, Step* steps);              // reads them
//     static void pack(const Code* codes, std::byte* out);              // writes the codes
//     template <class Fn> static void each_code(const std::byte* in, Fn&& fn);  // fn(segment, index in block, code)
//     // Where steps are products, also kParts, a StepPartsShape, StepParts parts(in) and store_parts(parts, out).
//   };
//   const NumberFormat& my_format() {
//     static const GgufFormat row({.name = "gguf:my", .type = ..., .file_type = ...}, gguf_block<MyBlock>());
//     return row;
//   }

#include "format/ggml_type.h"
#include "scheme/number_format.h"
#include "scheme/scale_search.h"
#include "scheme/step_parts.h"

namespace vernier {

/// Weights of a block that has no sub-blocks.
inline constexpr int kSmallBlock = 32;

/// One block's functions. @shape x, w [elements]: finite values below kLargestWeight in size, importances > 0
struct GgufBlock {
  int elements = 0, bytes = 0, segments = 0;
  Code top_code = 0;
  void (*fit)(const float* x, const float* w, std::byte* out) = nullptr;
  void (*steps)(const std::byte* in, Step* steps) = nullptr;
  void (*pack)(const Code* codes, std::byte* out) = nullptr;
  void (*unpack)(const std::byte* in, Code* codes) = nullptr;
  void (*decode)(const std::byte* in, float* y) = nullptr;
  void (*nearest)(const Step& step, const float* x, int64_t n, Code* codes) = nullptr;
  float (*level)(Code code) = nullptr;
  // Of a codebook of several weights (codebook_block.h):
  const Codebook* book = nullptr;
  int joint = 1;
  double bits_per_code = 0;
  void (*nearest_jointly)(const Step& step, const float* x, const float* w, int64_t n, Code* codes) = nullptr;
  // Of steps that are products (step_parts.h):
  const StepPartsShape* parts_shape = nullptr;
  StepParts (*parts)(const std::byte* in) = nullptr;
  void (*store_parts)(const StepParts& parts, std::byte* out) = nullptr;

  bool writable() const { return fit != nullptr; }
};

struct GgufRow {
  std::string_view name;  ///< as in a Scheme's spelling
  GgmlTypeId type;
  uint32_t file_type;  ///< of general.file_type
  ActivationRounding llama_cpp_rounding = ActivationRounding::kQ8_0;
  std::string_view fallback = "f16";  ///< llama.cpp's, where the block does not divide a row
};

class GgufFormat : public NumberFormat {
 public:
  GgufFormat(const GgufRow& row, const GgufBlock& block);

  std::optional<Parameters> parse(std::string_view text, std::string* why) const override;
  std::string name(const Parameters&) const override { return std::string(row_.name); }
  std::string spelling() const override { return std::string(row_.name); }
  FormatFacts facts(const Parameters&) const override;
  std::string fallback(const Parameters&) const override { return std::string(row_.fallback); }
  std::optional<std::string> why_not(const Parameters&, int64_t rows, int64_t cols) const override;
  std::vector<StoredPart> parts(const Parameters&, int64_t rows, int64_t cols) const override;
  std::unique_ptr<Grid> grid(const Parameters&, int64_t rows, int64_t cols) const override;

 private:
  const GgufRow row_;
  const GgufBlock block_;
};

/// Levels lowest .. highest, one apart, and codes that count from the lowest.
template <int lowest, int highest>
struct UniformLevels {
  static constexpr int kLowest = lowest, kHighest = highest;
  static constexpr Code kTopCode = highest - lowest;
  static float level(Code code) { return static_cast<float>(static_cast<int>(code) + lowest); }
  static void nearest(const Step& step, const float* x, int64_t n, Code* codes) {
    nearest_uniform(step, lowest, highest, x, n, codes);
  }
};

template <class Block>
void unpack_gguf_block(const std::byte* in, Code* codes) {
  Block::each_code(in, [&](int, int i, int code) { codes[i] = static_cast<Code>(code); });
}

/// A block that is only read: no fit, nearest and pack.
template <class Block>
GgufBlock read_only_gguf_block() {
  return {.elements = Block::kElements,
          .bytes = Block::kBytes,
          .segments = Block::kSegments,
          .top_code = Block::kTopCode,
          .steps = Block::steps,
          .unpack = unpack_gguf_block<Block>,
          .decode =
              [](const std::byte* in, float* y) {
                Step steps[Block::kSegments];
                Block::steps(in, steps);
                Block::each_code(in, [&](int s, int i, int code) {
                  y[i] = value_of(steps[s], Block::level(static_cast<Code>(code)));
                });
              },
          .level = Block::level};
}

/// Steps of a block by its parts.
template <class Block>
void product_steps(const std::byte* in, Step* steps) {
  steps_of(Block::parts(in), Block::kParts.has_min, Block::kSegments, steps);
}

template <class Block>
GgufBlock gguf_block() {
  GgufBlock block = {.elements = Block::kElements,
                     .bytes = Block::kBytes,
                     .segments = Block::kSegments,
                     .top_code = Block::kTopCode,
                     .fit = Block::fit,
                     .steps = Block::steps,
                     .pack = Block::pack,
                     .unpack = unpack_gguf_block<Block>,
                     .decode =
                         [](const std::byte* in, float* y) {
                           Step steps[Block::kSegments];
                           Block::steps(in, steps);
                           Block::each_code(in, [&](int s, int i, int code) {
                             y[i] = steps[s].scale * Block::level(static_cast<Code>(code)) + steps[s].offset;
                           });
                         },
                     .nearest = Block::nearest,
                     .level = Block::level};
  if constexpr (requires { Block::kParts; }) {
    static constexpr StepPartsShape kShape = Block::kParts;
    block.parts_shape = &kShape;
    block.parts = Block::parts;
    block.store_parts = Block::store_parts;
  }
  return block;
}

}  // namespace vernier
