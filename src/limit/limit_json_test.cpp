#include <gtest/gtest.h>

#include "base/json.h"
#include "support/expect_error.h"
#include "vernier/limit.h"

namespace vernier {
namespace {

Limit sample() {
  return {
      4096,
      {{"L0.attn_q", 4, 8, 0.25, 1.5e-3, -83, {1, 0, 2.5001, 0.4999}}, {"L0.expert1.ffn_up", 4, 8, 0.25, 0, 0, {}}}};
}

TEST(LimitJson, ComesBackAsItWas) {
  const Json json = limit_to_json(sample());
  const Limit back = limit_from_json(parse_json(json.dump(), "screen.json"), "screen.json");
  EXPECT_EQ(limit_to_json(back), json);
  EXPECT_EQ(back.matrices[0].directions, sample().matrices[0].directions);
  EXPECT_EQ(limit_kl(back, 3), limit_kl(sample(), 3));
}

TEST(LimitJson, RefusesWhatIsNoLimit) {
  const auto refused = [](const std::vector<std::string>& parts, const auto& damage) {
    Json json = limit_to_json(sample());
    damage(json);
    expect_error(ErrorKind::kBadFile, parts, [&] { limit_from_json(json, "screen.json"); });
  };
  refused({"screen.json", "levels_per_octave"}, [](Json& j) { j["levels_per_octave"] = 16; });
  refused({"matrices"}, [](Json& j) { j.erase("matrices"); });
  refused({"tokens"}, [](Json& j) { j["tokens"] = 0; });
  refused({"L0.attn_q", "directions"}, [](Json& j) { j["matrices"][0]["directions"][1] = -1; });
  refused({"directions"}, [](Json& j) { j["matrices"][0]["directions"] = "many"; });
  refused({"total_nats"}, [](Json& j) { j["matrices"][0]["total_nats"] = -1; });
  expect_error(ErrorKind::kBadFile, {"expected an object"}, [] { limit_from_json(Json::array(), "screen.json"); });
}

}  // namespace
}  // namespace vernier
