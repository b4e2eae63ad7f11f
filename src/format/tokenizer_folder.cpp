// A Hugging Face folder's tokenizer: tokenizer.json and the files beside it, each of which older or newer versions of the
// library leave out.

#include <algorithm>

#include "base/fail.h"
#include "base/json.h"
#include "base/output_file.h"
#include "base/utf8.h"
#include "vernier/tokenizer.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

/// An id, a list of ids, or null. A negative one is an old way to write none.
std::vector<int32_t> read_ids(const Json& config, const char* key, const std::string& origin, TokenizerModel& model) {
  const Json* value = json_find(config, key);
  if (value == nullptr) return {};
  std::vector<int32_t> ids;
  for (const Json& id : value->is_array() ? *value : Json::array({*value})) {
    if (!id.is_number_integer())
      fail(ErrorKind::kBadFile, "tokenizer: {}: key \"{}\": expected an id or a list of ids, got {}", origin, key,
           value->dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 60));
    if (!id.is_number_unsigned() && id.get<int64_t>() < 0) continue;
    const auto number = id.get<uint64_t>();
    if (number < model.tokens.size() && !model.tokens[number].empty())
      ids.push_back(static_cast<int32_t>(number));
    else
      model.warnings.push_back(
          fmt::format("tokenizer: {}: {} {} is outside the vocabulary of {} tokens; it is left out", origin, key,
                      number, model.tokens.size()));
  }
  return ids;
}

void set_if_absent(std::optional<int32_t>& id, std::string& token, int32_t found, const TokenizerModel& model) {
  if (id) return;
  id = found;
  token = model.tokens[static_cast<size_t>(found)];
}

/// Where tokenizer files are silent, converters and generate() go by these two.
void merge_model_configs(TokenizerModel& model, const fs::path& folder) {
  bool ends_known = false;
  for (const char* name : {"generation_config.json", "config.json"}) {
    const fs::path path = folder / name;
    if (!fs::exists(path)) continue;
    const Json config = read_json(path);
    const std::string origin = path.string();
    if (!model.bos_id)
      for (const int32_t id : read_ids(config, "bos_token_id", origin, model))
        set_if_absent(model.bos_id, model.bos_token, id, model);
    if (!model.special_ids.contains("padding"))
      for (const int32_t id : read_ids(config, "pad_token_id", origin, model)) model.special_ids.emplace("padding", id);
    if (ends_known) continue;
    for (const int32_t id : read_ids(config, "eos_token_id", origin, model)) {
      ends_known = true;
      set_if_absent(model.eos_id, model.eos_token, id, model);
      if (id != model.eos_id && std::find(model.end_ids.begin(), model.end_ids.end(), id) == model.end_ids.end())
        model.end_ids.push_back(id);
    }
  }
}

std::string read_template(const fs::path& path) {
  const std::string text = read_file(path);
  return std::string(without_byte_order_mark(text, "tokenizer: " + path.string()));
}

/// The later a version of the library writes a file, the more it counts.
void merge_chat_templates(TokenizerModel& model, const fs::path& folder) {
  if (const fs::path path = folder / "chat_template.jinja"; fs::exists(path)) model.chat_template = read_template(path);
  std::error_code code;
  for (fs::directory_iterator entry(folder / "additional_chat_templates", code), end; !code && entry != end;
       entry.increment(code))
    if (entry->path().extension() == ".jinja")
      model.named_templates[entry->path().stem().string()] = read_template(entry->path());
}

}  // namespace

TokenizerModel load_tokenizer_model(const fs::path& folder) {
  const fs::path main = folder / "tokenizer.json";
  if (!fs::exists(main)) {
    if (fs::exists(folder / "tokenizer.model"))
      fail(ErrorKind::kUnsupported,
           "tokenizer: {}: found tokenizer.model (SentencePiece) and no tokenizer.json; Hugging Face's "
           "AutoTokenizer.from_pretrained(...).save_pretrained(...) writes one, and a GGUF file of the model holds its "
           "own",
           folder.string());
    fail(ErrorKind::kIo, "tokenizer: {} does not exist; expected the folder of a Hugging Face model", main.string());
  }
  TokenizerModel model = parse_tokenizer_json(read_file(main), main.string());
  // Keys of one kind: what a later file names replaces what an earlier one did.
  for (const char* name : {"special_tokens_map.json", "tokenizer_config.json", "chat_template.json"})
    if (const fs::path path = folder / name; fs::exists(path))
      merge_tokenizer_config(model, read_file(path), path.string());
  merge_chat_templates(model, folder);
  // A folder without tokenizer_config.json: the template's only token in front is BOS, the one behind EOS.
  if (model.prefix_ids.size() == 1) set_if_absent(model.bos_id, model.bos_token, model.prefix_ids.front(), model);
  if (model.suffix_ids.size() == 1) set_if_absent(model.eos_id, model.eos_token, model.suffix_ids.front(), model);
  merge_model_configs(model, folder);
  return model;
}

}  // namespace vernier
