#include <fmt/format.h>

#include "scheme/number_format.h"

namespace vernier {

// Each is defined in the file of its family.
const NumberFormat& f32_format();
const NumberFormat& f16_format();
const NumberFormat& bf16_format();
const NumberFormat& q8_0_format();
const NumberFormat& q6_k_format();
const NumberFormat& q5_1_format();
const NumberFormat& q5_k_format();
const NumberFormat& q5_0_format();
const NumberFormat& q4_1_format();
const NumberFormat& q4_k_format();
const NumberFormat& iq4_nl_format();
const NumberFormat& q4_0_format();
const NumberFormat& iq4_xs_format();
const NumberFormat& gguf_mxfp4_format();
const NumberFormat& q3_k_format();
const NumberFormat& iq3_s_format();
const NumberFormat& iq3_xxs_format();
const NumberFormat& q2_k_format();
const NumberFormat& iq2_s_format();
const NumberFormat& iq2_xs_format();
const NumberFormat& tq2_0_format();
const NumberFormat& iq2_xxs_format();
const NumberFormat& iq1_m_format();
const NumberFormat& tq1_0_format();
const NumberFormat& iq1_s_format();
const NumberFormat& integer_format();
const NumberFormat& fp8_format();
const NumberFormat& mxfp4_format();
const NumberFormat& nvfp4_format();

std::span<const NumberFormat* const> number_formats() {
  static const NumberFormat* const rows[] = {
      &f32_format(),    &f16_format(),        &bf16_format(),  &q8_0_format(),    &q6_k_format(),    &q5_1_format(),
      &q5_k_format(),   &q5_0_format(),       &q4_1_format(),  &q4_k_format(),    &iq4_nl_format(),  &q4_0_format(),
      &iq4_xs_format(), &gguf_mxfp4_format(), &q3_k_format(),  &iq3_s_format(),   &iq3_xxs_format(), &q2_k_format(),
      &iq2_s_format(),  &iq2_xs_format(),     &tq2_0_format(), &iq2_xxs_format(), &iq1_m_format(),   &tq1_0_format(),
      &iq1_s_format(),  &integer_format(),    &fp8_format(),   &mxfp4_format(),   &nvfp4_format(),
  };
  return rows;
}

std::optional<std::string> needs_columns_divisible_by(int64_t unit, int64_t cols, std::string_view name) {
  if (cols % unit == 0) return std::nullopt;
  return fmt::format("{} needs columns divisible by {}, got {}", name, unit, cols);
}

}  // namespace vernier
