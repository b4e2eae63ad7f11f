// docs/schemes.md is made from the rows; VERNIER_UPDATE_GOLDEN=1 writes it.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "scheme/fitting.h"
#include "support/golden.h"

namespace vernier {
namespace {

std::string rounding_text(ActivationRounding rounding) {
  switch (rounding) {
    case ActivationRounding::kNone: return "";
    case ActivationRounding::kHalf: return "f16";
    case ActivationRounding::kBFloat16: return "bf16";
    case ActivationRounding::kQ8_0: return "q8_0";
    case ActivationRounding::kQ8_K: return "q8_k";
  }
  return "?";
}

int64_t column_unit(const Scheme& scheme) {
  for (int64_t cols = 1;; ++cols)
    if (!scheme.why_not(128, cols)) return cols;  // blocks may span rows
}

std::string table_row(const Scheme& scheme) {
  const int64_t unit = column_unit(scheme);
  std::string containers, numbers;
  if (scheme.held_by(Container::kGguf)) containers = scheme.writable() ? "GGUF" : "GGUF, read only";
  if (scheme.held_by(Container::kCompressedTensors)) containers = "compressed-tensors";
  if (scheme.held_by(Container::kPlainTensors)) containers += ", safetensors";
  if (const auto gguf = scheme.gguf()) numbers = fmt::format("{} / {}", gguf->type, gguf->file_type);
  const std::string fallback = unit > 1 ? fitting_scheme(scheme, 64, unit / 2).name() : "";
  return fmt::format("| `{}` | {:.4g} | {} | {} | {} | {} | {} |\n", scheme.name(), scheme.bits_per_weight(4096, 4096),
                     unit, fallback, containers, numbers, rounding_text(scheme.llama_cpp_rounding()));
}

TEST(SchemeTable, IsTrue) {
  std::string text =
      "# Schemes\n\nMade from the rows of `src/scheme` by `scheme_table_test.cpp`.\n\n"
      "| scheme | bits a weight at [4096, 4096] | columns, multiple of | with half as many columns it is | container | "
      "ggml type / file type | llama.cpp rounds activations to |\n|---|---|---|---|---|---|---|\n";
  for (const std::string& name : readable_gguf_scheme_names()) text += table_row(Scheme::parse(name));
  for (const char* name : {"int8:channel:sym", "int4:channel:sym", "int4:g128:sym", "int4:g128:asym", "int3:g64:asym",
                           "fp8:e4m3:tensor", "fp8:e4m3:channel", "fp8:e4m3:b128", "mxfp4", "nvfp4"})
    text += table_row(Scheme::parse(name));
  text +=
      "\nIntegers are `int2` to `int8`, each with `:tensor`, `:channel` or a group such as `:g128` (a scale for so "
      "many "
      "weights of a row), and of b bits with `:sym` (codes -2^(b-1) to 2^(b-1) - 1, the scale "
      "is the largest magnitude over (2^b - 1) / 2, as in compressed-tensors), "
      "`:sym7` (as many codes below zero as above it, of 4 bits -7 to 7, the scale is the largest magnitude over 7) or "
      "`:asym` (a zero point, codes 0 to 2^b - 1). Weights take `:channel` and `:sym` where a spelling leaves them "
      "out, "
      "activations `:sym7`.\n\nGGUF files are written by `--target llama.cpp`. compressed-tensors names how such "
      "files would store a scheme: no target writes them, and `--target huggingface` writes its values as float32.\n";
  expect_golden("../../docs/schemes.md", text);
}

}  // namespace
}  // namespace vernier
