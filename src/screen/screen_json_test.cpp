#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/json.h"
#include "format/safetensors_file.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/screen.h"

namespace vernier {
namespace {

Screen small_screen(bool channels = false) {
  const Model model = fixture_model("llama");
  ScreenText text{"wiki", made_up_windows(3, 16, 320)};
  return screen(model, calibrate(model, made_up_windows(2, 32, 320)), {text},
                {.schemes = {"int3:channel:sym", "gguf:q4_0"}, .channels = channels});
}

TEST(ScreenJson, ThereAndBack) {
  const Screen s = small_screen();
  const Json json = screen_to_json(s);
  EXPECT_EQ(screen_to_json(screen_from_json(json, "x")).dump(), json.dump());
  const auto path = scratch_path("vernier_screen.json");
  save_screen(s, path);
  const Screen back = screen_from_json(read_json(path), "x");
  EXPECT_EQ(screen_to_json(back).dump(), json.dump());
  EXPECT_EQ(back.at({ComponentKind::kFfn, 1}, "gguf:q4_0", "diagonal").mean,
            s.at({ComponentKind::kFfn, 1}, "gguf:q4_0", "diagonal").mean);
  EXPECT_TRUE(std::isnan(back.at({ComponentKind::kEmbed}, "gguf:q4_0", "kfac").mean));
  std::filesystem::remove(path);
}

TEST(ScreenJson, BrokenFilesAreNamed) {
  const Json good = screen_to_json(small_screen());
  const auto refused = [&](const std::vector<std::string>& parts, const std::function<void(Json&)>& spoil) {
    Json json = good;
    spoil(json);
    expect_error(ErrorKind::kBadFile, parts, [&] { screen_from_json(json, "bad.json"); });
  };
  for (const auto& [key, value] : good.items())  // files of before they had a kind are read
    if (key != "tool_version" && key != "kind")
      refused({"bad.json", key}, [&, &k = key](Json& json) { json.erase(k); });
  refused({"bad.json", "another schema"}, [](Json& json) { json["schema_version"] = 9; });
  refused({"bad.json"}, [](Json& json) { json = Json::array(); });
  refused({"labels"}, [](Json& json) { json["labels"] = "guessed"; });
  refused({"seed"}, [](Json& json) { json["seed"] = -1; });
  refused({"schemes"}, [](Json& json) { json["schemes"] = {"a", "a"}; });
  refused({"schemes"}, [](Json& json) { json["schemes"] = Json::array(); });
  refused({"domains"}, [](Json& json) { json["domains"] = Json::array(); });
  refused({"windows"}, [](Json& json) { json["domains"][0]["windows"] = -4; });
  refused({"estimators", "oracle"}, [](Json& json) { json["estimators"][0]["key"] = "oracle"; });
  refused({"L0.tail"}, [](Json& json) { json["components"][0] = "L0.tail"; });
  refused({"parameters"}, [](Json& json) { json["parameters"].erase(0); });
  refused({"parameters"}, [](Json& json) { json["parameters"][0] = "many"; });
  refused({"mean"}, [](Json& json) { json["values"]["diagonal"]["wiki"]["gguf:q4_0"]["mean"].erase(0); });
  refused({"mean"}, [](Json& json) { json["values"]["diagonal"]["wiki"]["gguf:q4_0"]["mean"][0] = "x"; });
  refused({"stderr"}, [](Json& json) { json["values"]["diagonal"]["wiki"]["gguf:q4_0"]["stderr"] = 3; });
  refused({"wiki"}, [](Json& json) { json["values"]["kfac"] = 3; });
  refused({"no_such"}, [](Json& json) { json["matrices"]["tensors"][0] = "no_such"; });
  refused({"kept"}, [](Json& json) { json["matrices"]["errors"]["gguf:q4_0"].erase("kept"); });
}

TEST(ScreenJson, ChannelsLieBesideIt) {
  const Screen s = small_screen(true);
  const auto path = scratch_path("vernier_channels.safetensors");
  save_channels(s, path);
  {
    const SafetensorsFile file(path);
    for (const char* name : {"L1.ffn_down.wiki.mean_abs", "L1.ffn_down.wiki.input_damage.gguf:q4_0",
                             "L1.ffn_down.wiki.combined", "embed.wiki.output_gradient"})
      EXPECT_NE(file.find(name), nullptr) << name;
    EXPECT_EQ(file.find("embed.wiki.mean_abs"), nullptr) << "nothing enters a look-up";
    EXPECT_EQ(file.read("L1.ffn_down.wiki.output_gradient").shape, std::vector<int64_t>{s.matrices.back().cols});
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace vernier
