// Folders as people have them: base models, shards without an index, adapters, weights that are quantized already,
// broken config.json. Each is read, or said in one message what it is and what to do.

#include "model/model_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>

#include "base/json.h"
#include "base/output_file.h"
#include "format/format_test_util.h"
#include "format/safetensors_file.h"
#include "format/safetensors_writer.h"
#include "support/expect_error.h"
#include "support/models.h"
#include "support/scratch.h"
#include "vernier/error.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ModelFolder : public ::testing::Test {
 protected:
  void SetUp() override { start_from("llama"); }
  void TearDown() override { fs::remove_all(folder_); }

  void start_from(const char* name) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    source_ = source_dir() / "tests/fixtures/models" / name;
    fs::copy(source_ / "model.safetensors", folder_);
    fs::permissions(folder_ / "model.safetensors", fs::perms::owner_write, fs::perm_options::add);
    config_ = read_json(source_ / "config.json");
    save_config();
  }
  void save_config() const { write_json(folder_ / "config.json", config_); }
  void put(const char* name, std::string_view text) const { write_file(folder_ / name, text); }

  /// The fixture's tensors under other names; those whose new name is empty are left out.
  void rename(const std::function<std::string(const std::string&)>& new_name, const char* file = "model.safetensors",
              const std::vector<std::pair<std::string, DType>>& more = {}) const {
    const SafetensorsFile original(source_ / "model.safetensors");
    SafetensorsWriter writer;
    std::vector<std::span<const std::byte>> data;
    for (const SafetensorsEntry& entry : original.entries()) {
      const std::string name = new_name(entry.name);
      if (name.empty()) continue;
      writer.add(name, entry.dtype, entry.shape);
      data.push_back(entry.data);
    }
    const std::vector<std::byte> zeros(8);
    for (const auto& [name, type] : more) {
      writer.add(name, type, {static_cast<int64_t>(8 / dtype_bytes(type))});
      data.emplace_back(zeros);
    }
    writer.write(folder_ / file, [&](size_t index, const ByteSink& append) { append(data[index]); });
  }

  Model load() const { return load_model(folder_.string()); }
  /// Refused with this kind and with a message that names the folder and says all of `parts`.
  void refused(ErrorKind kind, std::vector<std::string> parts, const std::string& path = "") const {
    parts.push_back("load: " + folder_.string());
    expect_error(kind, parts, [&] { load_model(path.empty() ? folder_.string() : path); });
  }

  fs::path folder_ = scratch_path("vernier_model_folder"), source_;
  Json config_;
};

std::string without_model(const std::string& name) { return name.starts_with("model.") ? name.substr(6) : name; }
std::string without_output(const std::string& name) { return name == "lm_head.weight" ? "" : name; }

TEST_F(ModelFolder, APipeIsNoModel) {
  const fs::path pipe = scratch_path("vernier_model_pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  expect_error(ErrorKind::kInvalidArgument, {pipe.string(), "not a pipe"}, [&] { load_model(pipe.string()); });
  fs::remove(pipe);
}

TEST_F(ModelFolder, NamesOfBaseModelsAndOfWrappersAreRead) {
  const std::string hash = model_hash(load());
  rename(without_model);
  EXPECT_EQ(model_hash(load()), hash);
  rename([](const std::string& name) { return "_orig_mod." + name; });
  EXPECT_EQ(model_hash(load()), hash);
  rename([](const std::string& name) {
    return name.starts_with("model.") ? "model.language_model." + name.substr(6) : name;
  });
  EXPECT_EQ(model_hash(load()), hash);
  rename([](const std::string& name) { return "other." + name; });
  refused(ErrorKind::kBadFile, {"tensor model.embed_tokens.weight is missing", "the first tensor there is other."});
}

TEST_F(ModelFolder, AMissingOutputMatrixIsTiedWhereTheFlagIsAbsentAndSaid) {
  rename(without_output);
  refused(ErrorKind::kBadFile, {"lm_head.weight is missing", "set that to true", "download or save the whole model"});
  config_.erase("tie_word_embeddings");
  save_config();
  const Model model = load();
  EXPECT_TRUE(model.config().tied_embedding);
  EXPECT_THAT(model.source().warnings,
              ElementsAre(::testing::AllOf(HasSubstr(folder_.string()), HasSubstr("lm_head.weight"),
                                           HasSubstr("tie_word_embeddings"))));
  rename([](const std::string& name) { return without_model(without_output(name)); });
  EXPECT_TRUE(load().config().tied_embedding);
  EXPECT_EQ(load().source().warnings.size(), 1u);
  config_["tie_word_embeddings"] = true;
  save_config();
  EXPECT_THAT(load().source().warnings, IsEmpty());
  config_["tie_word_embeddings"] = false;
  save_config();
  refused(ErrorKind::kBadFile, {"lm_head.weight is missing"});
}

TEST_F(ModelFolder, CodeOfTheModelsOwnIsSaidNotToRun) {
  config_["auto_map"] = {{"AutoConfig", "configuration_own.OwnConfig"}};
  save_config();
  EXPECT_THAT(load().source().warnings, IsEmpty());
  config_["auto_map"]["AutoModelForCausalLM"] = "modeling_own.OwnForCausalLM";
  save_config();
  EXPECT_THAT(load().source().warnings,
              ElementsAre(::testing::AllOf(HasSubstr(folder_.string()), HasSubstr("modeling_own.OwnForCausalLM"),
                                           HasSubstr("not run"), HasSubstr("llama"))));
}

TEST_F(ModelFolder, AStoredOutputMatrixIsNotTiedWhereTheFlagIsAbsent) {
  config_.erase("tie_word_embeddings");
  save_config();
  EXPECT_FALSE(load().config().tied_embedding);
  EXPECT_THAT(load().source().warnings, IsEmpty());
}

TEST_F(ModelFolder, TiedMatricesStoredTwiceMustBeOne) {
  config_["tie_word_embeddings"] = true;
  save_config();
  refused(ErrorKind::kUnsupported, {"lm_head.weight differs from the embedding", "set it to false"});
  const SafetensorsFile original(source_ / "model.safetensors");
  SafetensorsWriter twice;
  for (const SafetensorsEntry& entry : original.entries()) twice.add(entry.name, entry.dtype, entry.shape);
  twice.write(folder_ / "model.safetensors", [&](size_t index, const ByteSink& append) {
    const std::string& name = original.entries()[index].name;
    append(original.read(name == "lm_head.weight" ? "model.embed_tokens.weight" : name).data);
  });
  EXPECT_FALSE(load().has({TensorRole::kOutput, -1})) << "an equal copy says nothing new";
  // Stored under the output matrix's name only.
  rename([](const std::string& name) { return name == "model.embed_tokens.weight" ? "" : name; });
  const Model model = load();
  EXPECT_TRUE(at::equal(model.weight({TensorRole::kTokenEmbedding, -1}),
                        load_model(source_.string()).weight({TensorRole::kOutput, -1})));
}

TEST_F(ModelFolder, ShardsWithoutAnIndexAndFilesOfOtherNamesAreRead) {
  const std::string hash = model_hash(load());
  fs::remove(folder_ / "model.safetensors");
  const auto first = [](const std::string& name) { return name.find("layers.0") != name.npos ? name : ""; };
  const auto second = [](const std::string& name) { return name.find("layers.0") != name.npos ? "" : name; };
  rename(first, "model-00001-of-00002.safetensors");
  refused(ErrorKind::kBadFile, {"model-00002-of-00002.safetensors is missing", "download"});
  rename(second, "model-00002-of-00002.safetensors");
  EXPECT_EQ(model_hash(load()), hash);
  const std::string shard = (folder_ / "model-00002-of-00002.safetensors").string();
  EXPECT_EQ(load_model(shard).source().path, folder_) << "a shard stands for its model";

  fs::remove(folder_ / "model-00001-of-00002.safetensors");
  fs::remove(folder_ / "model-00002-of-00002.safetensors");
  rename([](const std::string& name) { return name; }, "my-llama.safetensors");
  EXPECT_EQ(model_hash(load()), hash);
}

TEST_F(ModelFolder, AFileStandsForTheFolderOfItsModelOnly) {
  const std::string file = (folder_ / "model.safetensors").string();
  EXPECT_EQ(load_model(file).source().path, folder_);
  EXPECT_EQ(resolve_model_path(file), folder_);
  EXPECT_THAT(files_of_model(file), ::testing::Contains(folder_ / "config.json"));
  put("other.safetensors", "");
  refused(ErrorKind::kInvalidArgument, {"other.safetensors", "is model.safetensors", "pass the folder"},
          (folder_ / "other.safetensors").string());
  refused(ErrorKind::kInvalidArgument, {"config.json", "got a JSON file", "pass its folder"},
          (folder_ / "config.json").string());
  fs::remove(folder_ / "config.json");
  const std::vector<std::string> remedy = {"no config.json", "copy config.json and tokenizer.json"};
  refused(ErrorKind::kInvalidArgument, remedy, file);
  refused(ErrorKind::kBadFile, remedy);
}

TEST_F(ModelFolder, WhatIsNoModelIsCalledByItsName) {
  fs::remove(folder_ / "model.safetensors");
  put("model.Q4_K_M.gguf", "GGUF");
  refused(ErrorKind::kInvalidArgument, {"pass " + (folder_ / "model.Q4_K_M.gguf").string()});
  fs::remove(folder_ / "config.json");
  refused(ErrorKind::kInvalidArgument, {"pass " + (folder_ / "model.Q4_K_M.gguf").string()});
  put("model.Q8_0.gguf", "GGUF");
  refused(ErrorKind::kInvalidArgument, {"expected one of them", "or in its place model.Q8_0.gguf"});
  fs::remove(folder_ / "model.Q4_K_M.gguf");
  fs::remove(folder_ / "model.Q8_0.gguf");

  put("consolidated.00.pth", "PK");
  put("params.json", "{}");
  refused(ErrorKind::kBadFile, {"params.json", "Hugging Face form"});
  fs::remove(folder_ / "consolidated.00.pth");
  fs::remove(folder_ / "params.json");

  put("optimizer.pt", "PK");
  put("adapter_model.safetensors", "");
  put("adapter_config.json", R"({"peft_type": "LORA", "base_model_name_or_path": "owner/base"})");
  const std::vector<std::string> adapter = {"adapter", "\"owner/base\"", "merge_and_unload"};
  refused(ErrorKind::kUnsupported, adapter);
  refused(ErrorKind::kUnsupported, adapter, (folder_ / "adapter_model.safetensors").string());
  save_config();
  refused(ErrorKind::kUnsupported, adapter);
  fs::copy(source_ / "model.safetensors", folder_);
  EXPECT_THAT(load().source().warnings, ElementsAre(HasSubstr("adapter_config.json")));
}

TEST_F(ModelFolder, QuantizationThatConfigJsonTellsOf) {
  config_["quantization_config"] = Json::object();
  save_config();
  EXPECT_NO_THROW(load()) << "nothing is said";
  config_["quantization_config"] = {{"quant_method", "gptq"}, {"bits", 4}};
  save_config();
  refused(ErrorKind::kUnsupported, {"quantized already", "\"gptq\", 4 bits", "full-precision original"});
  for (const char* method : {"awq", "bitsandbytes", "fp8", "compressed-tensors", "hqq", "aqlm", "torchao"}) {
    config_["quantization_config"] = {{"quant_method", method}};
    save_config();
    refused(ErrorKind::kUnsupported, {"quantized already", std::string("\"") + method + "\""});
  }
  config_["quantization_config"] = {{"load_in_8bit", true}};
  save_config();
  refused(ErrorKind::kUnsupported, {"bitsandbytes", "load_in_8bit"});

  config_["_name_or_path"] = "owner/original";
  save_config();
  refused(ErrorKind::kUnsupported, {"pass that model, owner/original"});
  config_["_name_or_path"] = "/home/somebody/model";
  save_config();
  put("README.md", "---\nlicense: mit\nbase_model:\n- maker/full\n---\n# Quantized\n");
  refused(ErrorKind::kUnsupported, {"pass that model, maker/full"});
  put("README.md", "---\nbase_model: \"maker/other\"\n---\n");
  refused(ErrorKind::kUnsupported, {"pass that model, maker/other"});

  config_["model_type"] = "gpt_oss";
  config_["quantization_config"] = {{"quant_method", "mxfp4"}};
  save_config();
  refused(ErrorKind::kUnsupported, {"\"mxfp4\"", "could not be read either", "gpt_oss"});
}

TEST_F(ModelFolder, QuantizationThatOtherFilesAndTensorsTellOf) {
  put("quantize_config.json", R"({"bits": 4})");
  refused(ErrorKind::kUnsupported, {"quantized already", "GPTQ", "quantize_config.json"});
  fs::remove(folder_ / "quantize_config.json");
  const auto no_query = [](const std::string& name) { return name.find("q_proj") == name.npos ? name : ""; };
  const std::string query = "model.layers.0.self_attn.q_proj.";
  struct Case {
    const char* tensor;
    DType type;
    const char* method;
  };
  for (const Case& c : {Case{"qweight", DType::kI32, "GPTQ"}, Case{"scales", DType::kF16, "AWQ"},
                        Case{"weight_packed", DType::kI32, "compressed-tensors"},
                        Case{"weight_scale", DType::kF32, "FP8"}, Case{"weight_scale_inv", DType::kF32, "FP8"},
                        Case{"weight.absmax", DType::kF32, "bitsandbytes"}, Case{"weight", DType::kU8, "type U8"}}) {
    rename(no_query, "model.safetensors", {{query + c.tensor, c.type}});
    refused(ErrorKind::kUnsupported, {"quantized already", query + c.tensor, c.method});
  }
  fs::copy(source_dir() / "tests/fixtures/format/golden.safetensors", folder_ / "model.safetensors",
           fs::copy_options::overwrite_existing);
  refused(ErrorKind::kUnsupported, {"quantized already", "F8_E4M3"});
  rename([](const std::string& name) { return name; }, "model.safetensors", {{"wide", DType::kF64}});
  refused(ErrorKind::kUnsupported, {"tensor wide is not part of"});
}

TEST_F(ModelFolder, ABrokenConfigJsonIsNamedWithTheNextStep) {
  const std::string name = "config.json";
  const auto says = [&](std::string_view text, std::vector<std::string> parts) {
    put("config.json", text);
    parts.push_back(name);
    refused(ErrorKind::kBadFile, parts);
  };
  says("", {"the file is empty", "download it again"});
  says(" \n", {"the file is empty"});
  says("{\"model_type\": \"llama\",", {"not valid JSON", "incomplete download"});
  says("<html>", {"not valid JSON"});
  says("[1, 2]", {"got JSON of type array", "expected an object", "download"});
  says("\"llama\"", {"got JSON of type string"});
  says("null", {"got JSON of type null"});
  says(std::string("\xFF\xFE{\0}\0", 6), {"UTF-16", "iconv"});
  put("config.json", "\xEF\xBB\xBF" + config_.dump());
  EXPECT_NO_THROW(load()) << "a mark of UTF-8 is no defect";
  fs::remove(folder_ / "config.json");
  fs::create_symlink("gone", folder_ / "config.json");
  refused(ErrorKind::kBadFile, {name, "a link to a file that is not there", "download"});
}

}  // namespace
}  // namespace vernier
