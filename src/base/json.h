#pragma once

// JSON artefacts: ordered keys, so that the same content gives the same bytes, and readers that say which key of which
// file is wrong.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

using Json = nlohmann::ordered_json;
/// For objects of very many keys (a vocabulary, an index of tensors): Json goes through all keys to find one.
using SortedJson = nlohmann::json;

}  // namespace vernier

// Made once, in json.cpp: every file would otherwise compile a parser and a printer of its own.
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace vernier {

/// Parses `text`; `origin` names it in messages. @throws Error{kBadFile} on syntax errors, on nesting deeper than 64 and
/// on objects of very many keys (60,000 in one, or as many in all by the squares), which would take time by their square
Json parse_json(std::string_view text, const std::string& origin);
/// The same of any number of keys.
SortedJson parse_sorted_json(std::string_view text, const std::string& origin);
/// @throws Error{kIo, kBadFile}
Json read_json(const std::filesystem::path& path);
/// Two-space indent and a final newline.
std::string json_text(const Json& value);
/// The same as a file, whole or not at all. @throws Error{kIo}
void write_json(const std::filesystem::path& path, const Json& value);

/// Typed look-ups that name `origin` and the key when it is missing, of the wrong type or out of range.
int64_t json_int(const Json& object, const char* key, const std::string& origin, int64_t min, int64_t max);
double json_number(const Json& object, const char* key, const std::string& origin);
std::string json_string(const Json& object, const char* key, const std::string& origin);
const Json& json_member(const Json& object, const char* key, const std::string& origin);
/// An array of `count` numbers.
std::vector<double> json_numbers(const Json& object, const char* key, size_t count, const std::string& origin);
/// nullptr when absent or null.
const Json* json_find(const Json& object, const char* key);
/// A bound for json_int: more of anything is a broken file, and sums of such counts stay within int64_t.
inline constexpr int64_t kMaxCount = int64_t{1} << 50;

/// JSON has no NaN and no infinity: null stands for a figure that could not be measured.
Json finite_or_null(double value);
/// NaN for null and for an absent key. @throws Error{kBadFile} for what is not a number
double number_or_nan(const Json& json, const char* key, const std::string& origin);

}  // namespace vernier
