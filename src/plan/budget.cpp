#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/fail.h"
#include "plan/blanks.h"
#include "vernier/plan.h"

namespace vernier {
namespace {

constexpr double kMaxBytes = 9007199254740992.0;  // 2^53: a double counts bytes exactly up to here
constexpr double kMaxResult = 1152921504606846976.0;
constexpr double kMaxPercent = 1e6;
constexpr double kMaxBitsPerWeight = 64;

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr std::array<Unit, 10> kUnits{{{"", 1},
                                       {"b", 1},
                                       {"kib", 1024.0},
                                       {"mib", 1048576.0},
                                       {"gib", 1073741824.0},
                                       {"tib", 1099511627776.0},
                                       {"kb", 1e3},
                                       {"mb", 1e6},
                                       {"gb", 1e9},
                                       {"tb", 1e12}}};

[[noreturn]] void reject(std::string_view text, std::string_view why) {
  fail(ErrorKind::kInvalidArgument,
       "budget: \"{}\": {}; write +10% (over uniform int4), 4.5bpw (bits per weight), 3.8GiB or 4.1GB, 16950144 "
       "(bytes), or 50% (of the 16-bit file)",
       text.substr(0, 40), why);
}

/// Rounded down, but a product that misses a whole number by the rounding of its decimal factor is that number.
uint64_t whole_bytes(long double bytes, const std::string& text) {
  if (!(bytes >= 0 && bytes <= static_cast<long double>(kMaxResult))) reject(text, "more than 2^60 bytes");
  const long double nearest = std::round(bytes);
  const bool is_whole = std::abs(bytes - nearest) <= 1e-15L * bytes;
  return static_cast<uint64_t>(is_whole ? nearest : std::floor(bytes));
}

}  // namespace

Budget Budget::parse(std::string_view text) {
  const std::string_view trimmed = trim(text);
  std::string_view rest = trimmed;
  const bool has_plus = !rest.empty() && rest.front() == '+';
  if (has_plus) rest.remove_prefix(1);
  // Digits and one point only: from_chars would also take "inf", "nan" and exponents.
  const size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + digits, value, std::chars_format::fixed);
  if (digits > 0 && error == std::errc::result_out_of_range) reject(trimmed, "a number beyond any file");
  if (digits == 0 || error != std::errc() || end != rest.data() + digits)
    reject(trimmed, "expected a number that is not negative");
  std::string unit(trim(rest.substr(digits)));
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });

  Budget budget{.value = value, .text = std::string(trimmed)};
  if (unit == "%") {
    if (value > kMaxPercent) reject(trimmed, "more than a million percent");
    budget.kind = has_plus ? Kind::kOverUniformInt4 : Kind::kShareOf16Bit;
    return budget;
  }
  if (has_plus) reject(trimmed, "a leading + needs a percentage");
  if (unit == "bpw") {
    if (value > kMaxBitsPerWeight) reject(trimmed, "more than 64 bits per weight");
    budget.kind = Kind::kBitsPerWeight;
    return budget;
  }
  const auto* known = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == unit; });
  if (known == kUnits.end()) reject(trimmed, "unknown unit");
  if (known->bytes == 1 && value != std::floor(value)) reject(trimmed, "a fraction of a byte");
  budget.kind = Kind::kBytes;
  budget.value = std::floor(value * known->bytes);
  if (budget.value > kMaxBytes) reject(trimmed, "more than 8 PiB");
  return budget;
}

uint64_t Budget::bytes(uint64_t uniform_int4_file_bytes, uint64_t parameters, uint64_t file_bytes_16bit) const {
  const long double number = value;
  switch (kind) {
    case Kind::kOverUniformInt4:
      return whole_bytes(static_cast<long double>(uniform_int4_file_bytes) * (100 + number) / 100, text);
    case Kind::kBitsPerWeight: return whole_bytes(static_cast<long double>(parameters) * number / 8, text);
    case Kind::kShareOf16Bit: return whole_bytes(static_cast<long double>(file_bytes_16bit) * number / 100, text);
    case Kind::kBytes: return whole_bytes(number, text);
  }
  fail(ErrorKind::kInternal, "budget: unknown kind {}", static_cast<int>(kind));
}

}  // namespace vernier
