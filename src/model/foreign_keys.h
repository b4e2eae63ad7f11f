#pragma once

// Keys of configurations that change the mathematics in some family and that a loader does not read. A file may carry
// them with a value that changes nothing; any other value passed over would make every number wrong without a word.

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "format/gguf_file.h"
#include "vernier/model_config.h"

namespace vernier {

struct Architecture;

/// Keys that do the same thing and are harmless at the same values.
struct ForeignKeys {
  const char* effect;         ///< "caps scores": what the keys do, for messages; nullptr: they are read
  std::vector<Json> neutral;  ///< values that change nothing; null, empty lists and lists of such values never do
  std::vector<const char*> keys;
  double (*in_use)(const ModelConfig&) = nullptr;  ///< a number that is computed with anyway, hence neutral too
};

/// Numbers for ForeignKeys::in_use that both kinds of files have keys for.
namespace in_use {
double head_dim(const ModelConfig& config);
double rope_theta(const ModelConfig& config);
/// 1 / sqrt(head_dim), with which scores of attention are multiplied.
double score_scale(const ModelConfig& config);
}  // namespace in_use

/// Refuses what config.json says that the architecture does not read and that would change the answers.
/// @throws Error{kUnsupported} naming the key, its value, the family and what the key does
void refuse_foreign_config_keys(const Json& json, const Architecture& row, const ModelConfig& config,
                                const std::string& origin);
/// The same for a GGUF file, whose keys begin with its architecture; under ARCH.rope only known keys pass.
void refuse_foreign_gguf_keys(const GgufFile& file, const Architecture& row, const ModelConfig& config);

/// The value of a key, nullptr when absent.
using KeyLookup = std::function<const Json*(const char* key)>;

/// What both have in common. `own` decides for the keys that it has. `prefix` stands before the keys in the file.
void refuse_foreign_keys(const std::vector<ForeignKeys>& table, const std::vector<ForeignKeys>& own,
                         const KeyLookup& find, const ModelConfig& config, const std::string& origin,
                         const std::string& prefix = "");

/// Whether `value` is null, one of `neutral`, or a list or object of such values only.
bool is_neutral(const Json& value, const std::vector<Json>& neutral);

/// A value in a message: its JSON, cut where it is long, of whatever bytes its strings are made.
std::string value_text(const Json& value);

/// The keys of config.json, of all the families of transformers and of models with code of their own.
const std::vector<ForeignKeys>& foreign_config_keys();

}  // namespace vernier
