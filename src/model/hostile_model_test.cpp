// Broken and hostile model folders: every one a clear error of the right kind, before anything is computed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "base/json.h"
#include "base/output_file.h"
#include "cli/cli.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/error.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;

struct Defect {
  const char* name;
  const char* said;  // part of the message
  std::function<void(Json& config, const fs::path& folder)> plant;
  ErrorKind kind = ErrorKind::kBadFile;
};

void truncate_weights(const fs::path& folder, uintmax_t bytes) {
  fs::resize_file(folder / "model.safetensors", fs::file_size(folder / "model.safetensors") - bytes);
}

const std::vector<Defect>& defects() {
  static const std::vector<Defect> all = {
      {"vocabulary_missing", "vocab_size", [](Json& c, const fs::path&) { c.erase("vocab_size"); }},
      {"hidden_negative", "hidden_size", [](Json& c, const fs::path&) { c["hidden_size"] = -64; }},
      {"hidden_huge", "hidden_size", [](Json& c, const fs::path&) { c["hidden_size"] = int64_t{1} << 62; }},
      {"hidden_fraction", "hidden_size", [](Json& c, const fs::path&) { c["hidden_size"] = 64.5; }},
      {"hidden_text", "hidden_size", [](Json& c, const fs::path&) { c["hidden_size"] = "64"; }},
      {"layers_zero", "num_hidden_layers", [](Json& c, const fs::path&) { c["num_hidden_layers"] = 0; }},
      {"experts_countless", "experts in all",
       [](Json& c, const fs::path&) {
         c["model_type"] = "mixtral";
         c["num_hidden_layers"] = 4096;
         c["num_local_experts"] = 1 << 24;
       }},
      {"layers_many", "num_hidden_layers", [](Json& c, const fs::path&) { c["num_hidden_layers"] = 1000000; }},
      {"layers_more_than_stored", "model.layers.3", [](Json& c, const fs::path&) { c["num_hidden_layers"] = 4; }},
      {"heads_not_divisible", "key/value heads", [](Json& c, const fs::path&) { c["num_key_value_heads"] = 3; }},
      {"head_dim_odd", "head_dim", [](Json& c, const fs::path&) { c["head_dim"] = 15; }},
      {"shape_mismatch", "expected [128, 64]", [](Json& c, const fs::path&) { c["head_dim"] = 32; }},
      {"epsilon_negative", "rms_norm_eps", [](Json& c, const fs::path&) { c["rms_norm_eps"] = -1; }},
      {"rope_theta_zero", "rope_theta", [](Json& c, const fs::path&) { c["rope_parameters"]["rope_theta"] = 0; }},
      {"rope_factor_missing", "factor", [](Json& c, const fs::path&) { c["rope_parameters"]["rope_type"] = "linear"; }},
      {"flag_not_boolean", "tie_word_embeddings", [](Json& c, const fs::path&) { c["tie_word_embeddings"] = "yes"; }},
      {"config_not_an_object", "object", [](Json& c, const fs::path&) { c = Json::array(); }},
      {"weights_truncated", "model.safetensors", [](Json&, const fs::path& f) { truncate_weights(f, 1000); }},
      {"weights_empty", "model.safetensors", [](Json&, const fs::path& f) { write_file(f / "model.safetensors", ""); }},
      {"weights_are_a_pointer", "git-lfs",
       [](Json&, const fs::path& f) {
         write_file(f / "model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
       }},
      {"rope_unknown", "rope type", [](Json& c, const fs::path&) { c["rope_parameters"]["rope_type"] = "dynamic"; },
       ErrorKind::kUnsupported},
      {"family_unknown", "model_type", [](Json& c, const fs::path&) { c["model_type"] = "mamba"; },
       ErrorKind::kUnsupported},
      {"activation_unknown", "hidden_act", [](Json& c, const fs::path&) { c["hidden_act"] = "relu"; },
       ErrorKind::kUnsupported},
      {"tensor_left_over", "_proj.bias is not part of",
       [](Json& c, const fs::path&) {
         c["model_type"] = "llama";
         c["attention_bias"] = false;
       },
       ErrorKind::kUnsupported},
      {"pickle_only", "pickle",
       [](Json&, const fs::path& f) { fs::rename(f / "model.safetensors", f / "pytorch_model.bin"); },
       ErrorKind::kUnsupported},
  };
  return all;
}

class HostileModel : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    const Defect& defect = defects()[GetParam()];
    folder_ = scratch_path(std::string("vernier_hostile_") + defect.name);
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    const bool with_bias = std::string(defect.name) == "tensor_left_over";
    const fs::path source = source_dir() / "tests/fixtures/models" / (with_bias ? "qwen2" : "llama");
    fs::copy(source / "model.safetensors", folder_);
    fs::permissions(folder_ / "model.safetensors", fs::perms::owner_write, fs::perm_options::add);
    Json config = read_json(source / "config.json");
    defect.plant(config, folder_);
    write_json(folder_ / "config.json", config);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_P(HostileModel, IsAClearError) {
  const Defect& defect = defects()[GetParam()];
  try {
    load_model(folder_.string());
    FAIL() << "loaded";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), defect.kind) << e.what();
    EXPECT_THAT(e.what(), ::testing::HasSubstr(defect.said));
  }
  const std::string folder = folder_.string();
  const char* arguments[] = {"vernier", "inspect", folder.c_str()};
  EXPECT_EQ(run_cli(3, arguments), defect.kind == ErrorKind::kBadFile ? 4 : 1);
}

INSTANTIATE_TEST_SUITE_P(Defects, HostileModel, ::testing::Range(size_t{0}, defects().size()),
                         [](const auto& info) { return std::string(defects()[info.param].name); });

TEST(LoadModel, MissingThingsSayWhereTheyWereLookedFor) {
  try {
    load_model("no/such-model");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kIo);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("Hugging Face cache"));
  }
}

TEST(LoadModel, OldAndNewSpellingOfRopeAreTheSame) {
  const fs::path source = source_dir() / "tests/fixtures/models/llama3_rope_tied";
  const fs::path folder = scratch_path("vernier_old_rope");
  fs::create_directories(folder);
  fs::copy(source / "model.safetensors", folder, fs::copy_options::overwrite_existing);
  Json config = read_json(source / "config.json");
  Json scaling = config["rope_parameters"];
  config["rope_theta"] = scaling["rope_theta"];
  scaling.erase("rope_theta");
  config["rope_scaling"] = scaling;
  config.erase("rope_parameters");
  write_json(folder / "config.json", config);
  const RopeConfig a = load_model(source.string()).config().rope, b = load_model(folder.string()).config().rope;
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.theta, b.theta);
  EXPECT_EQ(a.factor, b.factor);
  EXPECT_EQ(a.original_context, b.original_context);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace vernier
