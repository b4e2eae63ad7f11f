#include "vernier/scheme.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "format/ggml_type.h"
#include "scheme/fitting.h"
#include "vernier/error.h"

namespace vernier {
namespace {

using ::testing::HasSubstr;

std::vector<float> gauss(size_t n, unsigned seed, float sigma = 0.02f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, sigma);
  std::vector<float> values(n);
  for (float& x : values) x = normal(random);
  return values;
}

std::vector<float> values_of(const std::string& scheme, const std::vector<float>& weight, int64_t rows, int64_t cols) {
  std::vector<float> out(weight.size());
  round_trip(Scheme::parse(scheme), weight, rows, cols, {}, out);
  return out;
}

TEST(Scheme, NamesAreCanonical) {
  const std::pair<const char*, const char*> spellings[] = {{"int4", "int4:channel:sym"},
                                                           {"int8:channel", "int8:channel:sym"},
                                                           {"int4:sym7", "int4:channel:sym7"},
                                                           {"int4:g128:sym", "int4:g128:sym"},
                                                           {"INT3:G64:Asym", "int3:g64:asym"},
                                                           {"int4:tensor:sym7", "int4:tensor:sym7"},
                                                           {"gguf:Q4_K", "gguf:q4_k"},
                                                           {"gguf:f16", "f16"},
                                                           {"bf16", "bf16"},
                                                           {"gguf:bf16", "bf16"},
                                                           {"gguf:f32", "f32"},
                                                           {"int2:g32", "int2:g32:sym"},
                                                           {"FP8:e4m3", "fp8:e4m3:channel"},
                                                           {"fp8:e4m3:b128", "fp8:e4m3:b128"},
                                                           {"mxfp4", "mxfp4"},
                                                           {"NVFP4", "nvfp4"}};
  for (const auto& [text, name] : spellings) {
    const Scheme scheme = Scheme::parse(text);
    EXPECT_EQ(scheme.name(), name);
    EXPECT_EQ(Scheme::parse(scheme.name()), scheme);
  }
  for (const std::string& name : gguf_scheme_names()) {
    EXPECT_EQ(Scheme::parse(name).name(), name);
    EXPECT_TRUE(Scheme::parse(name).held_by(Container::kGguf));
  }
  EXPECT_NE(Scheme::parse("int4:g128:sym"), Scheme::parse("int4:g128:sym7"));
  EXPECT_EQ(Scheme(), Scheme::parse("f32"));
}

TEST(Scheme, RefusesWhatDoesNotExistAndSaysWhatDoes) {
  for (const char* text : {"",
                           ":",
                           "int",
                           "int1",
                           "int9",
                           "int44",
                           "int04",
                           "int4:",
                           "int4:g",
                           "int4:g0",
                           "int4:g064",
                           "int4:g-8",
                           "int4:g128:sym:sym",
                           "int4:sym:g128",
                           "int4:g99999999999999999999",
                           "q4_k",
                           "gguf:",
                           "gguf:q9_k",
                           "gguf:int4",
                           "int4:g12x",
                           "fp8",
                           "fp8:e5m2",
                           "fp8:e4m3:",
                           "fp8:e4m3:b64",
                           "mxfp4:g32",
                           "int4::sym",
                           " int4"}) {
    try {
      ADD_FAILURE() << text << " became " << Scheme::parse(text).name();
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
      EXPECT_THAT(e.what(), HasSubstr("gguf:q4_k")) << text;
    }
  }
}

TEST(Scheme, LlamaCppsOwnSpellingIsAnsweredWithOurs) {
  for (const char* text : {"q4_k", "Q6_K", "q8_0"}) {
    try {
      Scheme::parse(text);
      ADD_FAILURE() << "accepted " << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
      EXPECT_THAT(e.what(), HasSubstr("did you mean gguf:q"));
    }
  }
}

TEST(Scheme, BytesAreExact) {
  const struct {
    const char* scheme;
    int64_t rows, cols;
    uint64_t bytes;
  } cases[] = {{"int4:g128:sym", 512, 512, 512 * 256 + 512 * 4 * 2},
               {"int4:g128:asym", 512, 512, 512 * 256 + 512 * 4 * 2 + 64 * 4 * 4},
               {"int3:g64:asym", 10, 64, 10 * 24 + 10 * 2 + 4},  // 192 bits a row; 30 bits of zero points in one word
               {"int3:channel:asym", 11, 11, 11 * 8 + 11 * 2 + 2 * 4},  // 33 bits take two words, in both directions
               {"int8:channel", 7, 5, 7 * 8 + 7 * 2},
               {"int5:tensor:sym7", 3, 7, 3 * 8 + 2},
               {"int5:tensor:asym", 3, 7, 3 * 8 + 2 + 4},
               {"f32", 3, 5, 60},
               {"f16", 3, 5, 30},
               {"bf16", 3, 5, 30},
               {"fp8:e4m3:tensor", 3, 5, 15 + 4},
               {"fp8:e4m3:channel", 3, 5, 15 + 12},
               {"fp8:e4m3:b128", 256, 384, 256 * 384 + 6 * 4},
               {"mxfp4", 3, 64, 3 * 32 + 3 * 2},
               {"nvfp4", 3, 64, 3 * 32 + 3 * 4 + 4},
               {"gguf:q8_0", 3, 64, 3 * 2 * 34},
               {"gguf:q4_0", 3, 64, 3 * 2 * 18},
               {"gguf:iq4_nl", 3, 64, 3 * 2 * 18},
               {"gguf:iq4_xs", 3, 512, 3 * 2 * 136},
               {"gguf:mxfp4", 3, 64, 3 * 2 * 17},
               {"gguf:iq3_s", 3, 512, 3 * 2 * 110},
               {"gguf:iq3_xxs", 3, 512, 3 * 2 * 98},
               {"gguf:iq2_s", 3, 512, 3 * 2 * 82},
               {"gguf:iq2_xs", 3, 512, 3 * 2 * 74},
               {"gguf:iq2_xxs", 3, 512, 3 * 2 * 66},
               {"gguf:iq1_m", 3, 512, 3 * 2 * 56},
               {"gguf:iq1_s", 3, 512, 3 * 2 * 50},
               {"gguf:tq2_0", 3, 512, 3 * 2 * 66},
               {"gguf:tq1_0", 3, 512, 3 * 2 * 54},
               {"gguf:q6_k", 3, 512, 3 * 2 * 210},
               {"gguf:q5_k", 3, 512, 3 * 2 * 176},
               {"gguf:q4_k", 3, 512, 3 * 2 * 144},
               {"gguf:q3_k", 3, 512, 3 * 2 * 110},
               {"gguf:q2_k", 3, 512, 3 * 2 * 84},
               {"gguf:q4_1", 3, 64, 3 * 2 * 20},
               {"gguf:q5_0", 3, 64, 3 * 2 * 22},
               {"gguf:q5_1", 3, 64, 3 * 2 * 24}};
  for (const auto& c : cases) {
    EXPECT_EQ(Scheme::parse(c.scheme).bytes(c.rows, c.cols), c.bytes) << c.scheme;
  }
  EXPECT_DOUBLE_EQ(Scheme::parse("gguf:q4_k").bits_per_weight(512, 512), 4.5);
  EXPECT_DOUBLE_EQ(Scheme::parse("int4:g128:sym").bits_per_weight(512, 512), 4.125);
  EXPECT_DOUBLE_EQ(Scheme::parse("int4:g128:asym").bits_per_weight(512, 512), 4.15625);
}

TEST(Scheme, WhatIsOnlyReadIsNotWritten) {
  std::vector<float> weight(256, 0.5f);
  for (const char* name : {"gguf:iq1_s", "gguf:iq1_m", "gguf:tq1_0", "gguf:tq2_0"}) {
    const Scheme scheme = Scheme::parse(name);
    EXPECT_FALSE(scheme.writable());
    std::vector<std::byte> stored(scheme.bytes(1, 256));
    try {
      encode(scheme, weight, 1, 256, {}, stored);
      ADD_FAILURE() << "wrote " << name;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kUnsupported);
      EXPECT_THAT(e.what(), HasSubstr(name));
    }
  }
  EXPECT_TRUE(Scheme::parse("gguf:iq2_xxs").writable());
}

TEST(Scheme, SaysWhichShapesItCannotTake) {
  EXPECT_THAT(Scheme::parse("int4:g64").why_not(512, 100).value_or(""), HasSubstr("divisible by 64, got 100"));
  EXPECT_THAT(Scheme::parse("gguf:q4_k").why_not(512, 320).value_or(""), HasSubstr("divisible by 256, got 320"));
  EXPECT_EQ(Scheme::parse("gguf:q8_0").why_not(512, 320), std::nullopt);
  EXPECT_EQ(Scheme::parse("int4:channel").why_not(1, 1), std::nullopt);
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  for (const auto& [rows, cols] :
       {std::pair<int64_t, int64_t>{0, 8}, {8, 0}, {-1, 8}, {kHuge, 1}, {1, kHuge}, {kHuge, kHuge}}) {
    EXPECT_TRUE(Scheme::parse("int4").why_not(rows, cols)) << rows << " " << cols;
    EXPECT_THROW(Scheme::parse("int4:asym").bytes(rows, cols), Error);
    EXPECT_THROW(Scheme::parse("gguf:q8_0").bytes(rows, cols), Error);
  }
  EXPECT_THROW(Scheme::parse("gguf:q4_k").parts(1, 255), Error);
}

TEST(Scheme, PartsAreTheBytesPieceByPiece) {
  const auto parts = Scheme::parse("int3:g64:asym").parts(40, 128);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].name, "weight_packed");
  EXPECT_EQ(parts[0].shape, (std::array<int64_t, 2>{40, 12}));  // 384 bits a row
  EXPECT_EQ(parts[1].type, "BF16");
  EXPECT_EQ(parts[1].shape, (std::array<int64_t, 2>{40, 2}));
  EXPECT_EQ(parts[2].name, "weight_zero_point");
  EXPECT_EQ(parts[2].shape, (std::array<int64_t, 2>{4, 2}));  // 120 bits along the rows
  EXPECT_EQ(parts[0].bytes + parts[1].bytes + parts[2].bytes, 40u * 48 + 40 * 2 * 2 + 4 * 2 * 4);
  EXPECT_EQ(Scheme::parse("int4").parts(8, 8).size(), 2u);
  EXPECT_EQ(Scheme::parse("gguf:q4_k").parts(3, 512).size(), 1u);
  EXPECT_EQ(Scheme::parse("gguf:q4_k").parts(3, 512)[0].shape, (std::array<int64_t, 2>{3, 288}));
  EXPECT_EQ(Scheme::parse("f16").parts(3, 5)[0].type, "F16");
}

TEST(Scheme, ContainersHoldWhatTheyCan) {
  const auto held = [](const char* scheme) {
    const Scheme s = Scheme::parse(scheme);
    return std::array<bool, 3>{s.held_by(Container::kGguf), s.held_by(Container::kCompressedTensors),
                               s.held_by(Container::kPlainTensors)};
  };
  EXPECT_EQ(held("gguf:q4_k"), (std::array<bool, 3>{true, false, false}));
  EXPECT_EQ(held("bf16"), (std::array<bool, 3>{true, false, true}));
  EXPECT_EQ(held("int4:g128:sym"), (std::array<bool, 3>{false, true, false}));
  for (const char* name : {"fp8:e4m3:b128", "mxfp4", "nvfp4"})
    EXPECT_EQ(held(name), (std::array<bool, 3>{false, true, false}));
  EXPECT_FALSE(Scheme::parse("int4").gguf());
}

// ggml's own numbers: the enums ggml_type and llama_ftype.
TEST(Scheme, GgufNumbersAreGgmls) {
  const std::map<std::string, std::pair<uint32_t, uint32_t>> numbers = {
      {"f32", {0, 0}},           {"f16", {1, 1}},           {"gguf:q4_0", {2, 2}},
      {"gguf:q4_1", {3, 3}},     {"gguf:q5_0", {6, 8}},     {"gguf:q5_1", {7, 9}},
      {"gguf:q8_0", {8, 7}},     {"gguf:q2_k", {10, 10}},   {"gguf:q3_k", {11, 12}},
      {"gguf:q4_k", {12, 15}},   {"gguf:q5_k", {13, 17}},   {"gguf:q6_k", {14, 18}},
      {"gguf:iq4_nl", {20, 25}}, {"bf16", {30, 32}},        {"gguf:iq4_xs", {23, 30}},
      {"gguf:mxfp4", {39, 38}},  {"gguf:iq3_s", {21, 26}},  {"gguf:iq3_xxs", {18, 23}},
      {"gguf:iq2_s", {22, 28}},  {"gguf:iq2_xs", {17, 20}}, {"gguf:iq2_xxs", {16, 19}},
      {"gguf:iq1_m", {29, 31}},  {"gguf:iq1_s", {19, 24}},  {"gguf:tq2_0", {35, 37}},
      {"gguf:tq1_0", {34, 36}}};
  EXPECT_EQ(readable_gguf_scheme_names().size(), numbers.size());
  for (const auto& [name, pair] : numbers) {
    const GgufNumbers got = Scheme::parse(name).gguf().value();
    EXPECT_EQ(std::pair(got.type, got.file_type), pair) << name;
  }
}

TEST(Scheme, BlocksAreGgmls) {
  for (const std::string& name : readable_gguf_scheme_names()) {
    const Scheme scheme = Scheme::parse(name);
    const GgmlType& type = ggml_type(scheme.gguf().value().type);
    EXPECT_EQ(scheme.bytes(3, 2 * type.block_elements),
              ggml_bytes(type, std::vector<int64_t>{3, 2 * type.block_elements}));
    EXPECT_EQ(scheme.why_not(1, type.block_elements), std::nullopt) << name;
    EXPECT_EQ(scheme.why_not(1, type.block_elements + 1).has_value(), type.block_elements > 1) << name;
    std::string upper = name.substr(name.find(':') + 1);
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_EQ(type.name, upper);
  }
}

TEST(Scheme, WhatLlamaCppRoundsBesideIt) {
  const auto rounding = [](const char* scheme) { return Scheme::parse(scheme).llama_cpp_rounding(); };
  EXPECT_EQ(rounding("f32"), ActivationRounding::kNone);
  EXPECT_EQ(rounding("gguf:f16"), ActivationRounding::kHalf);
  EXPECT_EQ(rounding("bf16"), ActivationRounding::kBFloat16);
  for (const char* name :
       {"gguf:q4_0", "gguf:iq4_nl", "gguf:mxfp4", "gguf:q4_1", "gguf:q5_0", "gguf:q5_1", "gguf:q8_0"})
    EXPECT_EQ(rounding(name), ActivationRounding::kQ8_0);
  for (const char* name :
       {"gguf:q2_k", "gguf:q3_k", "gguf:q4_k", "gguf:q5_k", "gguf:q6_k", "gguf:iq4_xs", "gguf:iq3_s", "gguf:iq3_xxs",
        "gguf:iq2_s", "gguf:iq2_xs", "gguf:iq2_xxs", "gguf:iq1_m", "gguf:iq1_s", "gguf:tq1_0", "gguf:tq2_0"})
    EXPECT_EQ(rounding(name), ActivationRounding::kQ8_K);
  EXPECT_EQ(rounding("int4:g128"), ActivationRounding::kNone);
}

TEST(Scheme, FallsBackToWhatLlamaCppDoes) {
  const std::pair<const char*, const char*> fallbacks[] = {{"gguf:q2_k", "gguf:q4_0"},
                                                           {"gguf:q3_k", "gguf:q4_0"},
                                                           {"gguf:q4_k", "gguf:q5_0"},
                                                           {"gguf:q5_k", "gguf:q5_1"},
                                                           {"gguf:q6_k", "gguf:q8_0"},
                                                           {"int4:g128:asym", "int4:channel:asym"},
                                                           {"gguf:q4_0", "gguf:q4_0"},
                                                           {"gguf:iq4_xs", "gguf:iq4_nl"},
                                                           {"gguf:iq3_s", "gguf:iq4_nl"},
                                                           {"gguf:iq2_xxs", "gguf:iq4_nl"},
                                                           {"fp8:e4m3:b128", "fp8:e4m3:channel"},
                                                           {"mxfp4", "mxfp4"}};
  for (const auto& [scheme, fallback] : fallbacks)
    EXPECT_EQ(fitting_scheme(Scheme::parse(scheme), 8, 96).name(), fallback);
  EXPECT_EQ(fitting_scheme(Scheme::parse("gguf:q4_k"), 8, 100).name(), "f16");
  EXPECT_EQ(fitting_scheme(Scheme::parse("gguf:q4_k"), 8, 256).name(), "gguf:q4_k");
}

TEST(Scheme, OnlyPerTensorGridsTieRowsTogether) {
  EXPECT_FALSE(Scheme::parse("int4:tensor").rows_independent());
  EXPECT_FALSE(Scheme::parse("fp8:e4m3:b128").rows_independent());
  EXPECT_FALSE(Scheme::parse("nvfp4").rows_independent());
  EXPECT_FALSE(Scheme::parse("int4:channel").rows_in_sequence());
  EXPECT_TRUE(Scheme::parse("gguf:q4_k").rows_in_sequence());
  for (const char* name :
       {"int4:channel:asym", "int3:g64", "gguf:q6_k", "gguf:iq2_xs", "bf16", "fp8:e4m3:channel", "mxfp4"}) {
    const Scheme scheme = Scheme::parse(name);
    ASSERT_TRUE(scheme.rows_independent());
    const std::vector<float> weight = gauss(4 * 256, 1);
    const std::vector<float> whole = values_of(name, weight, 4, 256);
    std::vector<float> last(256);
    round_trip(scheme, std::span(weight).subspan(768), 1, 256, {}, last);
    EXPECT_TRUE(std::equal(last.begin(), last.end(), whole.begin() + 768)) << name;
  }
}

TEST(Scheme, WrongSizesAndValuesAreNamed) {
  const Scheme scheme = Scheme::parse("gguf:q8_0");
  std::vector<float> weight(3 * 32, 0.5f), importance(32, 1.0f), out(weight.size());
  std::vector<std::byte> stored(scheme.bytes(3, 32));
  EXPECT_THROW(encode(scheme, weight, 4, 32, {}, stored), Error);
  EXPECT_THROW(encode(scheme, weight, 3, 32, {}, std::span(stored).first(5)), Error);
  EXPECT_THROW(encode(scheme, weight, 3, 32, std::span(importance).first(31), stored), Error);
  EXPECT_THROW(decode(scheme, stored, 3, 32, std::span(out).first(95)), Error);
  for (const float bad : {NAN, INFINITY, -1.0f}) {
    importance[7] = bad;
    EXPECT_THROW(encode(scheme, weight, 3, 32, importance, stored), Error) << bad;
  }
  for (const char* name : {"gguf:q8_0", "int4", "f32", "bf16"}) {
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      weight[2 * 32 + 5] = bad;
      try {
        round_trip(Scheme::parse(name), weight, 3, 32, {}, out);
        ADD_FAILURE() << name << " took " << bad;
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
        EXPECT_THAT(e.what(), HasSubstr("row 2, column 5"));
      }
    }
  }
}

// Relative root mean square error on Gaussian rows of 1,024. A uniform grid over +-k sigma with n levels has about
// 2k / (n sqrt 12): k is about 2 in blocks of 32 and 3.2 in rows; the bounds leave 15%.
TEST(Scheme, ErrorCeilings) {
  const std::pair<const char*, double> ceilings[] = {{"f32", 0.0},
                                                     {"f16", 2.5e-4},
                                                     {"bf16", 2e-3},
                                                     {"gguf:q8_0", 0.0055},
                                                     {"gguf:q6_k", 0.020},
                                                     {"gguf:q5_k", 0.038},
                                                     {"gguf:q4_k", 0.075},
                                                     {"gguf:iq4_nl", 0.082},
                                                     {"gguf:q4_0", 0.090},
                                                     {"gguf:iq4_xs", 0.082},
                                                     {"gguf:mxfp4", 0.12},
                                                     {"gguf:q5_1", 0.038},
                                                     {"gguf:q5_0", 0.045},
                                                     {"gguf:q4_1", 0.075},
                                                     {"gguf:q3_k", 0.16},
                                                     {"gguf:q2_k", 0.30},
                                                     {"gguf:iq3_s", 0.14},
                                                     {"gguf:iq3_xxs", 0.18},
                                                     {"gguf:iq2_s", 0.26},
                                                     {"gguf:iq2_xs", 0.30},
                                                     {"gguf:iq2_xxs", 0.35},
                                                     {"int8:channel", 0.010},
                                                     {"int8:g128:asym", 0.008},
                                                     {"int4:g32:sym", 0.10},
                                                     {"int4:g128:sym", 0.12},
                                                     {"int4:g128:sym7", 0.13},
                                                     {"int4:g128:asym", 0.12},
                                                     {"int3:g64:asym", 0.23},
                                                     {"int2:g32:asym", 0.46},
                                                     {"fp8:e4m3:channel", 0.028},
                                                     {"mxfp4", 0.12},
                                                     {"nvfp4", 0.10}};
  const std::vector<float> weight = gauss(16 * 1024, 2);
  for (const auto& [name, ceiling] : ceilings) {
    const std::vector<float> stored = values_of(name, weight, 16, 1024);
    double error = 0, power = 0;
    for (size_t i = 0; i < weight.size(); ++i) {
      error += std::pow(stored[i] - weight[i], 2);
      power += std::pow(weight[i], 2);
    }
    EXPECT_LE(std::sqrt(error / power), ceiling) << name;
  }
}

TEST(Scheme, StructuredWeightsSurvive) {
  constexpr float kHuge = std::numeric_limits<float>::max(), kTiny = std::numeric_limits<float>::denorm_min();
  std::vector<std::vector<float>> inputs;
  for (const float constant : {0.0f, -0.0f, 0.7f, -0.7f, kTiny, -kTiny, 1e-7f, 1e-20f, 1e30f, -1e30f, kHuge, -kHuge}) {
    inputs.emplace_back(256, constant);
    inputs.emplace_back(256, 0.0f);
    inputs.back()[77] = constant;  // an outlier among zeros
    inputs.push_back(gauss(256, 3));
    inputs.back()[78] = constant;  // and among ordinary weights
  }
  std::vector<std::string> names = gguf_scheme_names();
  names.insert(names.end(), {"int2:sym7", "int2:asym", "int4:g32:sym", "int8:tensor:asym", "int3:tensor:sym7",
                             "int8:g64:sym", "fp8:e4m3:tensor", "fp8:e4m3:channel", "mxfp4", "nvfp4"});
  for (const std::string& name : names) {
    for (const auto& input : inputs) {
      const std::vector<float> stored = values_of(name, input, 1, 256);
      for (size_t i = 0; i < 256; ++i) {
        ASSERT_TRUE(std::isfinite(stored[i])) << name << " " << input[i];
        if (input[i] != 0.0f && stored[i] != 0.0f && std::fabs(input[i]) > 1.0f) {
          EXPECT_EQ(std::signbit(stored[i]), std::signbit(input[i])) << name << " " << input[i];
        }
      }
    }
  }
}

TEST(Scheme, ValuesBeyondRangeSaturate) {
  EXPECT_EQ(values_of("f16", {1e6f, -65519.0f}, 1, 2), (std::vector<float>{65504.0f, -65504.0f}));
  constexpr float kMax = std::numeric_limits<float>::max();
  EXPECT_TRUE(std::isfinite(values_of("bf16", {kMax}, 1, 1)[0]));
  const std::vector<float> flat(256, 1e12f);
  EXPECT_EQ(values_of("gguf:q8_0", flat, 1, 256)[0], 65504.0f * 127);
  EXPECT_EQ(values_of("gguf:q4_k", flat, 1, 256)[0], 65504.0f * 63 * 15);
  EXPECT_EQ(values_of("gguf:q6_k", flat, 1, 256)[0], 65504.0f * 128 * 32);
}

TEST(Scheme, ZerosStayZeroAndEncodingIsRepeatable) {
  for (const char* name : {"gguf:q4_k", "gguf:q6_k", "gguf:q4_0", "gguf:iq4_nl", "int4:g32:asym", "int4:tensor"}) {
    const std::vector<float> zeros(512, 0.0f);
    EXPECT_EQ(values_of(name, zeros, 2, 256), zeros) << name;
    const std::vector<float> weight = gauss(512, 4);
    EXPECT_EQ(values_of(name, weight, 2, 256), values_of(name, weight, 2, 256)) << name;
  }
}

TEST(Scheme, UselessImportancesAreAsNone) {
  const std::vector<float> weight = gauss(512, 5);
  for (const char* name : {"gguf:q4_k", "gguf:q4_0"}) {
    for (const float constant : {0.0f, 1e-38f, 3.0f, 1e38f}) {
      const std::vector<float> importance(256, constant);
      std::vector<float> out(512);
      round_trip(Scheme::parse(name), weight, 2, 256, importance, out);
      EXPECT_EQ(out, values_of(name, weight, 2, 256)) << name << " " << constant;
    }
  }
}

TEST(Scheme, RoundTripMayWriteOverItsInput) {
  std::vector<float> weight = gauss(512, 6);
  const std::vector<float> expected = values_of("gguf:q5_k", weight, 2, 256);
  round_trip(Scheme::parse("gguf:q5_k"), weight, 2, 256, {}, weight);
  EXPECT_EQ(weight, expected);
}

}  // namespace
}  // namespace vernier
