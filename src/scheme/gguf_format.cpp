#include "scheme/gguf_format.h"

#include <array>

#include "base/fail.h"

namespace vernier {

namespace {

constexpr int kLargestBlock = 256;

class BlockGrid : public Grid {
 public:
  BlockGrid(const GgufBlock& block, int64_t rows, int64_t cols)
      : Grid({.rows = rows,
              .cols = cols,
              .block_rows = 1,
              .block_cols = block.elements,
              .segment_cols = block.elements / block.segments,
              .joint_cols = block.joint,
              .bits_per_code = block.bits_per_code},
             block.top_code),
        block_(block) {}

  void fit(int64_t row, int64_t block, const float* x, int64_t, const float* w, std::byte* stored) const override {
    require_writable();
    std::array<float, kLargestBlock> prepared;
    for (int i = 0; i < block_.elements; ++i) prepared[static_cast<size_t>(i)] = search_value(x[i]);
    block_.fit(prepared.data(), w, stored + offset(row, block));
  }

  void steps(int64_t row, int64_t block, const std::byte* stored, Step* steps) const override {
    block_.steps(stored + offset(row, block), steps);
  }

  void nearest(const Step& step, const float* x, int64_t n, Code* codes) const override {
    require_writable();
    block_.nearest(step, x, n, codes);
  }

  void nearest_jointly(const Step& step, const float* x, const float* w, int64_t n, Code* codes) const override {
    if (block_.nearest_jointly == nullptr) return nearest(step, x, n, codes);
    block_.nearest_jointly(step, x, w, n, codes);
  }

  const Codebook* codebook() const override { return block_.book; }

  float level(Code code) const override { return block_.level(code); }

  void pack_row(int64_t row, const Code* codes, std::byte* stored) const override {
    require_writable();
    std::byte* out = stored + offset(row, 0);
    for (int64_t col = 0; col < cols; col += block_cols, out += block_.bytes) block_.pack(codes + col, out);
  }

  void unpack_row(int64_t row, const std::byte* stored, Code* codes) const override {
    const std::byte* in = stored + offset(row, 0);
    for (int64_t col = 0; col < cols; col += block_cols, in += block_.bytes) block_.unpack(in, codes + col);
  }

  const StepPartsShape* parts_shape() const override { return block_.parts_shape; }
  StepParts parts(int64_t row, int64_t block, const std::byte* stored) const override {
    return block_.parts(stored + offset(row, block));
  }
  void store_parts(int64_t row, int64_t block, const StepParts& parts, std::byte* stored) const override {
    block_.store_parts(parts, stored + offset(row, block));
  }

  void decode(const std::byte* stored, float* weight) const override {
    for (int64_t i = 0; i < rows * cols; i += block_cols, stored += block_.bytes) block_.decode(stored, weight + i);
  }

 private:
  void require_writable() const {
    if (!block_.writable()) fail(ErrorKind::kUnsupported, "scheme: these blocks are read, not written");
  }

  int64_t offset(int64_t row, int64_t block) const { return (row * blocks() + block) * block_.bytes; }

  const GgufBlock& block_;
};

}  // namespace

GgufFormat::GgufFormat(const GgufRow& row, const GgufBlock& block) : row_(row), block_(block) {
  const GgmlType& type = ggml_type(row.type);
  if (type.block_elements != static_cast<uint32_t>(block.elements) ||
      type.block_bytes != static_cast<uint32_t>(block.bytes))
    fail(ErrorKind::kInternal, "scheme: {}: blocks of {} weights in {} bytes, expected ggml's {} in {}", row.name,
         block.elements, block.bytes, type.block_elements, type.block_bytes);
}

std::optional<SchemeParameters> GgufFormat::parse(std::string_view text, std::string*) const {
  return text == row_.name ? std::optional(Parameters{}) : std::nullopt;
}

FormatFacts GgufFormat::facts(const Parameters&) const {
  return {.gguf = GgufNumbers{.type = row_.type, .file_type = row_.file_type},
          .writable = block_.writable(),
          .llama_cpp_rounding = row_.llama_cpp_rounding};
}

std::optional<std::string> GgufFormat::why_not(const Parameters&, int64_t, int64_t cols) const {
  return needs_columns_divisible_by(block_.elements, cols, row_.name);
}

std::vector<StoredPart> GgufFormat::parts(const Parameters&, int64_t rows, int64_t cols) const {
  const int64_t row_bytes = cols / block_.elements * block_.bytes;
  return {{.name = "", .type = "U8", .shape = {rows, row_bytes}, .bytes = static_cast<uint64_t>(rows * row_bytes)}};
}

std::unique_ptr<Grid> GgufFormat::grid(const Parameters&, int64_t rows, int64_t cols) const {
  return std::make_unique<BlockGrid>(block_, rows, cols);
}

}  // namespace vernier
