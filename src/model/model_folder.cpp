#include "model/model_folder.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <sstream>

#include "base/fail.h"
#include "base/output_file.h"
#include "format/shard_index.h"
#include "format/sharded_safetensors.h"
#include "model/config.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse_folder_without_config(const fs::path& folder) {
  std::error_code code;
  if (is_present(folder / "config.json"))
    fail(ErrorKind::kBadFile,
         "load: {}: a link to a file that is not there, as an unfinished download leaves it; "
         "download the model again",
         (folder / "config.json").string());
  if (fs::exists(folder / "params.json", code))
    fail(ErrorKind::kBadFile,
         "load: {}: no config.json but params.json: the layout of the model's authors; download the Hugging Face form "
         "of the model (config.json, model*.safetensors) or convert it with transformers",
         folder.string());
  if (fs::exists(folder / "adapter_config.json", code) || safetensors_in(folder).empty())
    refuse_folder_without_weights(folder);
  fail(
      ErrorKind::kBadFile,
      "load: {}: no config.json beside the weights; copy config.json and tokenizer.json of the original model into the "
      "folder",
      folder.string());
}

/// "owner/name", and nothing that a terminal or a reader could take for something else.
bool is_repository_name(const std::string& text) {
  const auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-_./", c); };
  return text.size() < 200 && std::count(text.begin(), text.end(), '/') == 1 && text.front() != '/' &&
         text.front() != '.' && text.back() != '/' && std::all_of(text.begin(), text.end(), plain);
}

/// `base_model` of the model card's front matter: its value, or the first entry of its list.
std::string base_model_of_card(const fs::path& card) {
  constexpr uint64_t kMaxCardBytes = 1 << 20;
  std::error_code code;
  if (const uint64_t size = fs::file_size(card, code); code || size > kMaxCardBytes) return "";
  std::istringstream lines(read_file(card, kMaxCardBytes));
  std::string line, key = "base_model:";
  if (!std::getline(lines, line) || !line.starts_with("---")) return "";
  while (std::getline(lines, line) && !line.starts_with("---")) {
    if (!line.starts_with(key)) continue;
    std::string value = line.substr(key.size());
    if (value.find_first_not_of(" \r") == std::string::npos && std::getline(lines, line)) value = line;
    std::erase_if(value, [](char c) { return std::strchr(" \r\t\"'[]", c) != nullptr; });
    return value.starts_with('-') ? value.substr(1) : value;
  }
  return "";
}

/// What the weights were before somebody quantized them; empty when the folder does not tell.
std::string original_of(const fs::path& folder, const Json& config) {
  if (const std::string name = base_model_of_card(folder / "README.md"); is_repository_name(name)) return name;
  const Json* name = json_find(config, "_name_or_path");
  const std::string text = name != nullptr && name->is_string() ? name->get<std::string>() : "";
  // A repository that names itself says nothing.
  if (!is_repository_name(text) || text.ends_with("/" + folder.filename().string())) return "";
  return text;
}

[[noreturn]] void refuse_quantized(const fs::path& folder, const Json& config, const std::string& evidence) {
  // Without this, a reader would download the original only to hear it of that.
  std::string also;
  try {
    parse_config(config, "its config.json");
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::kUnsupported)
      also = fmt::format("; the original could not be read either: {}", e.what());
  }
  const std::string original = original_of(folder, config);
  fail(ErrorKind::kUnsupported,
       "load: {}: the weights are quantized already: {}; Vernier starts from the full-precision original (F32, F16, "
       "BF16): pass that model{}{}",
       folder.string(), evidence, original.empty() ? "" : ", " + original, also);
}

/// "gptq", 4 bits
std::string described(const Json& settings) {
  std::string text;
  for (const char* key : {"quant_method", "quant_algo", "quantization_status"})
    if (const Json* method = json_find(settings, key); method != nullptr && method->is_string() && text.empty())
      text = method->dump(-1, ' ', false, Json::error_handler_t::replace);
  for (const char* key : {"load_in_8bit", "load_in_4bit"})
    if (const Json* on = json_find(settings, key); text.empty() && on != nullptr && *on == true)
      text = fmt::format("\"bitsandbytes\" ({})", key);
  if (text.empty()) text = "a method without a name";
  for (const char* key : {"bits", "w_bit"})
    if (const Json* bits = json_find(settings, key); bits != nullptr && bits->is_number_integer())
      return text + fmt::format(", {} bits", bits->dump());
  return text;
}

}  // namespace

Json read_model_config(const fs::path& folder) {
  const fs::path path = folder / "config.json";
  std::error_code code;
  if (!fs::exists(path, code)) refuse_folder_without_config(folder);
  // With a configuration of the base model beside it, an adapter is still no model.
  if (fs::exists(folder / "adapter_config.json", code) && safetensors_in(folder).empty())
    refuse_folder_without_weights(folder);
  const std::string text = read_file(path);
  if (text.find_first_not_of(" \t\r\n") == std::string::npos)
    fail(ErrorKind::kBadFile, "load: {}: the file is empty, expected the model's configuration; download it again",
         path.string());
  Json json = parse_json(text, "load: " + path.string());
  if (!json.is_object())
    fail(ErrorKind::kBadFile,
         "load: {}: got JSON of type {}, expected an object with model_type; download the model's own config.json",
         path.string(), json.type_name());
  return json;
}

void refuse_quantized_config(const fs::path& folder, const Json& config) {
  for (const char* key : {"quantization_config", "compression_config", "quantization"})
    if (const Json* settings = json_find(config, key); settings != nullptr && !settings->empty())
      refuse_quantized(folder, config, fmt::format("{} in config.json says {}", key, described(*settings)));
  // Quantizers wrote files of their own before config.json had a place for it.
  std::error_code code;
  for (const auto& [file, method] : {std::pair("quantize_config.json", "GPTQ"), std::pair("quant_config.json", "AWQ"),
                                     std::pair("hf_quant_config.json", "ModelOpt")})
    if (fs::exists(folder / file, code)) refuse_quantized(folder, config, fmt::format("by {}, says {}", method, file));
}

void refuse_quantized_tensors(const fs::path& folder, const Json& config,
                              const std::vector<const SafetensorsEntry*>& entries) {
  struct Mark {
    std::string_view ending, method;
  };
  constexpr Mark kMarks[] = {{".qweight", "GPTQ or AWQ"},
                             {".qzeros", "GPTQ or AWQ"},
                             {".g_idx", "GPTQ"},
                             {".scales", "GPTQ, AWQ or MLX"},
                             {".weight_packed", "compressed-tensors"},
                             {".weight_zero_point", "compressed-tensors"},
                             {".weight_scale", "FP8 or compressed-tensors"},
                             {".weight_scale_inv", "FP8"},
                             {".weight_scale_2", "NVFP4"},
                             {".weight.absmax", "bitsandbytes"},
                             {".SCB", "bitsandbytes"},
                             {".codebooks", "AQLM"},
                             {".W_q", "HQQ"}};
  for (const SafetensorsEntry* entry : entries) {
    for (const auto& [ending, method] : kMarks)
      if (entry->name.ends_with(ending))
        refuse_quantized(folder, config, fmt::format("there is a tensor {}, as of {}", entry->name, method));
    const bool small_float =
        entry->dtype_name.starts_with("F8_") || entry->dtype_name.starts_with("F6_") || entry->dtype_name == "F4";
    const bool codes =
        entry->name.ends_with(".weight") && (entry->dtype_name.starts_with("I") || entry->dtype_name.starts_with("U"));
    if (small_float || codes)
      refuse_quantized(folder, config, fmt::format("tensor {} is of type {}", entry->name, entry->dtype_name));
  }
}

}  // namespace vernier
