// What holds for every row of value_searches(), and what sets them apart.

#include "vernier/value_search.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "support/models.h"
#include "vernier/error.h"
#include "vernier/planning.h"
#include "vernier/quantize.h"

namespace vernier {
namespace {

using ::testing::HasSubstr;

TEST(ValueSearches, AnUnknownOneSaysWhatIsKnown) {
  try {
    find_value_search("magic");
    ADD_FAILURE() << "found";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    for (const ValueSearch& search : value_searches()) EXPECT_THAT(e.what(), HasSubstr(search.name));
  }
  EXPECT_EQ(find_value_search(Plan().method).name, "importance") << "what plans ask for by default";
}

class EverySearch : public ::testing::TestWithParam<std::string> {};

TEST_P(EverySearch, GivesDecodableBytesWhateverTheThreadsAndNamesTheMatrix) {
  const ValueSearch& search = find_value_search(GetParam());
  const at::Tensor weight = fixture_model("llama").weight({TensorRole::kFfnUp, 0}).to(at::kFloat).contiguous();
  std::vector<float> importance(static_cast<size_t>(weight.size(1)), 1);
  importance[3] = 100;
  const Scheme scheme = Scheme::parse("gguf:q4_0");
  const auto bytes = search.run({scheme, weight, importance, 1, "L0.ffn_up"}).bytes;
  ASSERT_EQ(bytes.size(), scheme.bytes(weight.size(0), weight.size(1)));
  EXPECT_EQ(search.run({scheme, weight, importance, 2, "L0.ffn_up"}).bytes, bytes);
  const at::Tensor values = StoredMatrix(scheme, {weight.size(0), weight.size(1)}, bytes).values();
  EXPECT_LT((values - weight).norm().item<double>(), 0.2 * weight.norm().item<double>())
      << "4 bits are not that coarse";
  at::Tensor broken = weight.clone();
  broken[1][2] = NAN;
  try {
    search.run({scheme, broken, importance, 1, "L0.ffn_up"});
    ADD_FAILURE() << "took NaN";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInvalidArgument);
    EXPECT_THAT(e.what(), HasSubstr("L0.ffn_up"));
  }
}

std::vector<std::string> names_of_searches() {
  std::vector<std::string> names;
  for (const ValueSearch& search : value_searches()) names.push_back(search.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Rows, EverySearch, ::testing::ValuesIn(names_of_searches()),
                         [](const auto& info) { return info.param; });

TEST(ValueSearches, EachIsBestByItsOwnError) {
  const Model model = fixture_model("llama");
  const Calibration calibration = calibrate(model, made_up_windows(2, 16, 320));
  Plan plan = plan_uniform(model, "gguf:q4_0");
  const QuantizedModel weighted = quantize(model, calibration, plan, 1);
  plan.method = "nearest";
  const QuantizedModel plain = quantize(model, Calibration(), plan, 1);  // needs none
  EXPECT_EQ(plain.source_hash(), weighted.source_hash());
  double weighted_error[2] = {}, plain_error[2] = {};
  for (const TensorId& id : model.matrices()) {
    const std::vector<float> importance = calibration.importance(model, id);
    if (importance.empty()) continue;
    const at::Tensor columns = at::tensor(importance);
    int which = 0;
    for (const QuantizedModel* q : {&weighted, &plain}) {
      const at::Tensor squares = (q->values(id) - model.weight(id)).square();
      weighted_error[which] += (squares * columns).sum().item<double>();
      plain_error[which++] += squares.sum().item<double>();
    }
  }
  EXPECT_LT(weighted_error[0], weighted_error[1]);
  EXPECT_GT(plain_error[0], plain_error[1]);
}

TEST(ValueSearches, APlanOfAnUnknownMethodAndAMissingCalibrationAreRefused) {
  const Model model = fixture_model("llama");
  Plan plan = plan_uniform(model, "gguf:q4_0");
  try {
    quantize(model, Calibration(), plan, 1);
    ADD_FAILURE() << "quantized without calibration";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("calibrat"));
  }
  plan.method = "magic";
  EXPECT_THROW(quantize(model, Calibration(), plan, 1), Error);
}

}  // namespace
}  // namespace vernier
