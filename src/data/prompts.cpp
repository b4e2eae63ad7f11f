#include "vernier/prompts.h"

#include <algorithm>

#include "base/fail.h"
#include "vernier/data.h"

namespace vernier {

namespace {

constexpr std::string_view kPlace = "{}", kNamedPlace = "{class}";

std::string checked(std::string line, const std::string& where) {
  if (const size_t named = line.find(kNamedPlace); named != std::string::npos)
    line.replace(named, kNamedPlace.size(), kPlace);
  const size_t place = line.find(kPlace);
  if (place == std::string::npos || line.find_first_of("{}") != place ||
      line.find_first_of("{}", place + kPlace.size()) != std::string::npos)
    fail(ErrorKind::kBadFile, "data: {}: \"{}\": expected {{}} once, where the name of the class goes", where, line);
  return line;
}

}  // namespace

const std::vector<PromptTemplates>& known_prompt_templates() {
  static const std::vector<PromptTemplates> known{
      {"single", {"a photo of a {}."}},
      {"best-7",
       {"itap of a {}.", "a bad photo of the {}.", "a origami {}.", "a photo of the large {}.", "a {} in a video game.",
        "art of the {}.", "a photo of the small {}."}}};
  return known;
}

PromptTemplates prompt_templates(const std::string& name_or_file) {
  for (const PromptTemplates& known : known_prompt_templates())
    if (known.name == name_or_file) return known;
  if (!std::filesystem::exists(name_or_file))
    fail(ErrorKind::kInvalidArgument,
         "data: prompts \"{}\": neither single nor best-7, and no file of templates, one per line", name_or_file);
  return parse_prompt_templates(read_text_file(name_or_file).text, name_or_file);
}

PromptTemplates parse_prompt_templates(std::string_view bytes, const std::string& origin) {
  const std::string text = text_from_bytes(bytes, origin).text;
  PromptTemplates result{origin, {}};
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string row = text.substr(begin, end - begin);
    begin = end + 1;
    ++line;
    if (row.find_first_not_of(" \t") == std::string::npos || row[0] == '#') continue;
    result.templates.push_back(checked(row, fmt::format("{}:{}", origin, line)));
  }
  if (result.templates.empty()) fail(ErrorKind::kBadFile, "data: {}: no templates of prompts", origin);
  return result;
}

std::vector<std::string> prompts_of(const PromptTemplates& templates, const std::string& class_name) {
  std::vector<std::string> prompts;
  for (std::string prompt : templates.templates) {
    prompt.replace(prompt.find(kPlace), kPlace.size(), class_name);
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace vernier
