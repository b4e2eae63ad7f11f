// Against ggml: the same floats out of the same bytes, and no larger errors out of the same weights. The fixtures are
// explained in tests/fixtures/scheme/PROVENANCE.md.

#include "scheme/scale_search.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "base/json.h"
#include "base/mapped_file.h"
#include "scheme/half_float.h"
#include "scheme/super_block.h"
#include "support/golden.h"
#include "vernier/scheme.h"

namespace vernier {
namespace {

const std::string kFolder = std::string(VERNIER_SOURCE_DIR) + "/tests/fixtures/scheme/";

struct Source {
  int64_t rows, cols;
  std::vector<float> weight, importance;
};

class GgmlFixture {
 public:
  GgmlFixture() : index(read_json(kFolder + "ggml.json")), file_(kFolder + "ggml.bin") {
    for (const Json& entry : index["sources"]) {
      Source source{.rows = entry["rows"], .cols = entry["cols"], .weight = {}, .importance = {}};
      const auto count = static_cast<size_t>(source.rows * source.cols);
      for (const uint16_t bits : array<uint16_t>(entry["weight_bf16"], count))
        source.weight.push_back(bf16_to_float(bits));
      source.importance = array<float>(entry["importance"], static_cast<size_t>(source.cols));
      sources.emplace(entry["name"], std::move(source));
    }
  }

  template <class T>
  std::vector<T> array(size_t at, size_t count) const {
    std::vector<T> out(count);
    std::memcpy(out.data(), file_.bytes().subspan(at, count * sizeof(T)).data(), count * sizeof(T));
    return out;
  }

  Json index;
  std::map<std::string, Source> sources;

 private:
  MappedFile file_;
};

const GgmlFixture& fixture() {
  static const GgmlFixture instance;
  return instance;
}

/// sum metric (stored - weight)^2 after encoding with `importance`.
double error_of(const Scheme& scheme, const Source& source, std::span<const float> importance,
                std::span<const float> metric) {
  std::vector<float> stored(source.weight.size());
  round_trip(scheme, source.weight, source.rows, source.cols, importance, stored);
  double sum = 0;
  for (size_t i = 0; i < stored.size(); ++i) {
    const double weight = metric.empty() ? 1.0 : metric[i % static_cast<size_t>(source.cols)];
    sum += weight * std::pow(static_cast<double>(stored[i]) - source.weight[i], 2);
  }
  return sum;
}

TEST(GgufBlocks, DecodeTheBitsOfGgml) {
  size_t schemes = 0;
  for (const Json& entry : fixture().index["decode"]) {
    const Scheme scheme = Scheme::parse(entry["scheme"].get<std::string>());
    const int64_t count = entry["values"];
    const auto stored = fixture().array<std::byte>(entry["stored"], scheme.bytes(1, count));
    const auto expected = fixture().array<float>(entry["decoded"], static_cast<size_t>(count));
    std::vector<float> decoded(expected.size());
    decode(scheme, stored, 1, count, decoded);
    for (size_t i = 0; i < decoded.size(); ++i) {
      ASSERT_EQ(std::bit_cast<uint32_t>(decoded[i]), std::bit_cast<uint32_t>(expected[i]))
          << scheme.name() << " at " << i;
    }
    ++schemes;
  }
  EXPECT_EQ(schemes + 1, readable_gguf_scheme_names().size()) << "all but f32 have blocks in the fixture";
}

TEST(ScaleSearch, ErrorsAreNoLargerThanGgmls) {
  constexpr double kSlack =
      1.01;  // a source has only some 64 blocks of 32, and both searches have luck with alignments
  for (const Json& entry : fixture().index["encode"]) {
    const Scheme scheme = Scheme::parse(entry["scheme"].get<std::string>());
    const std::string name = entry["source"];
    const Source& source = fixture().sources.at(name);
    const double weighted =
        error_of(scheme, source, source.importance, source.importance) / entry["weighted_error"].get<double>();
    const double plain = error_of(scheme, source, {}, {}) / entry["plain_error"].get<double>();
    EXPECT_LE(weighted, kSlack) << scheme.name() << " on " << name;
    EXPECT_LE(plain, kSlack) << scheme.name() << " on " << name;
    RecordProperty(scheme.name() + " " + name, std::to_string(weighted) + " " + std::to_string(plain));
  }
}

// docs/ggml_errors.md is made from the fixture; VERNIER_UPDATE_GOLDEN=1 writes it.
TEST(ScaleSearch, TheTableOfErrorsIsTrue) {
  std::map<std::string, std::map<std::string, double>> ratios;  // by scheme and source
  for (const Json& entry : fixture().index["encode"]) {
    const std::string scheme = entry["scheme"], name = entry["source"];
    const Source& source = fixture().sources.at(name);
    ratios[scheme][name] = error_of(Scheme::parse(scheme), source, source.importance, source.importance) /
                           entry["weighted_error"].get<double>();
  }
  std::string text =
      "# Errors beside ggml's\n\nImportance-weighted squared error of our encoders over that of ggml's own, on the "
      "same rows and "
      "importances (`tests/fixtures/scheme`); made by `scale_search_test.cpp`.\nggml's encoders weigh by importance "
      "times "
      "sqrt(sigma^2 + x^2), ours by what is measured here.\n\n| scheme |";
  std::string line = "|---|";
  for (const auto& [name, source] : fixture().sources) {
    text += " " + name + " |";
    line += "---|";
  }
  text += "\n" + line + "\n";
  for (const std::string& scheme : gguf_scheme_names()) {
    if (!ratios.contains(scheme)) continue;
    text += "| `" + scheme + "` |";
    for (const auto& [name, source] : fixture().sources) text += fmt::format(" {:.2f} |", ratios[scheme].at(name));
    text += "\n";
  }
  expect_golden("../../docs/ggml_errors.md", text);
}

TEST(ScaleSearch, ImportanceLowersTheWeightedError) {
  // Channels whose mean squares differ a lot leave a search that knows them at least 3% to gain on every format.
  size_t cases = 0;
  for (const char* name : {"model.layers.3.self_attn.v_proj", "heavy tails"}) {
    const Source& source = fixture().sources.at(name);
    for (const std::string& scheme : gguf_scheme_names()) {
      if (!scheme.starts_with("gguf:")) continue;
      const double with = error_of(Scheme::parse(scheme), source, source.importance, source.importance);
      const double without = error_of(Scheme::parse(scheme), source, {}, source.importance);
      EXPECT_LT(with, 0.97 * without) << scheme << " on " << name;
      ++cases;
    }
  }
  EXPECT_GT(cases, 0u);
}

TEST(ScaleSearch, FindsTheGridThatValuesLieOn) {
  // 32 values 0.5 q - 2 with all codes 0 .. 15 in use: nothing else has no error.
  std::vector<float> x(32), w(32, 1.0f);
  for (size_t i = 0; i < 32; ++i) x[i] = 0.5f * static_cast<float>(i % 16) - 2.0f;
  const AffineFit fit = search_affine(x.data(), w.data(), 32, 15);
  EXPECT_NEAR(fit.scale, 0.5f, 1e-6f);
  EXPECT_NEAR(fit.min, 2.0f, 1e-6f);
  for (size_t i = 0; i < 32; ++i) x[i] = -0.25f * (static_cast<float>(i % 16) - 8.0f);
  EXPECT_NEAR(search_scale(x.data(), w.data(), 32, -8, 7), -0.25f, 1e-6f);
}

TEST(ScaleSearch, ExactSuperBlocksComeBackExactly) {
  // Values made from an fp16 d, 6-bit steps and codes that use their whole range: the search must end where they came
  // from.
  std::vector<float> x(256), w(256, 1.0f);
  for (int j = 0; j < 8; ++j) {
    for (int i = 0; i < 32; ++i) {
      x[static_cast<size_t>(j * 32 + i)] =
          0x1p-10f * static_cast<float>(63 - 4 * j) * static_cast<float>((i * 7) % 16) -
          0x1p-9f * static_cast<float>(63 - 3 * j);
    }
  }
  const AffineSuperBlock block = fit_affine({.sub_blocks = 8, .levels = 15, .top_scale = 63}, x.data(), w.data());
  for (int i = 0; i < 256; ++i) {
    const int j = i / 32;
    const Step step{.scale = block.d * block.scale[j], .offset = -(block.dmin * block.min[j])};
    Code code = 0;
    nearest_uniform(step, 0, 15, &x[static_cast<size_t>(i)], 1, &code);
    EXPECT_EQ(step.scale * static_cast<float>(code) + step.offset, x[static_cast<size_t>(i)]) << i;
  }
}

}  // namespace
}  // namespace vernier
