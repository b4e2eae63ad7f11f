// Questions as lm-evaluation-harness puts them (lm_eval/tasks/hellaswag/utils.py, lm_eval/tasks/arc), so that figures
// compare.

#include <algorithm>
#include <charconv>

#include "base/fail.h"
#include "base/output_file.h"
#include "data/json_lines.h"
#include "vernier/choices.h"

namespace vernier {

namespace {

const Json& need_array(const Json& json, const char* key, const std::string& origin) {
  const Json* value = json_find(json, key);
  if (value == nullptr || !value->is_array())
    fail(ErrorKind::kBadFile, "data: {}: key \"{}\": expected an array", origin, key);
  return *value;
}

std::string text_of(const Json& value, const char* key, const std::string& origin) {
  if (!value.is_string())
    fail(ErrorKind::kBadFile, "data: {}: key \"{}\": expected strings, got {}", origin, key, value.type_name());
  return value.get<std::string>();
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// WikiHow's texts carry marks in brackets.
std::string without_marks(std::string text) {
  constexpr const char* kBlank = " \t\n\r";
  text.erase(0, std::min(text.find_first_not_of(kBlank), text.size()));
  text.erase(text.find_last_not_of(kBlank) + 1);
  replace_all(text, " [title]", ". ");
  for (size_t open = 0; (open = text.find('[', open)) != std::string::npos;) {
    const size_t close = text.find(']', open), line = text.find('\n', open);
    if (close == std::string::npos || line < close)
      ++open;
    else
      text.erase(open, close - open + 1);
  }
  replace_all(text, "  ", " ");
  return text;
}

/// Python's str.capitalize, of ASCII.
std::string capitalized(std::string text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (i == 0 && text[i] >= 'a' && text[i] <= 'z') text[i] -= 32;
    if (i > 0 && text[i] >= 'A' && text[i] <= 'Z') text[i] += 32;
  }
  return text;
}

int64_t index_of_label(const Json& json, const std::string& origin) {
  const Json* label = json_find(json, "label");
  if (label != nullptr && label->is_string()) {  // the file of Hugging Face has "3", the original 3
    const auto text = label->get<std::string>();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
    fail(ErrorKind::kBadFile, "data: {}: label \"{}\": expected the index of an ending", origin, text);
  }
  return json_int(json, "label", origin, INT32_MIN, INT32_MAX);
}

ChoiceItem hellaswag_item(const Json& json, const std::string& origin) {
  std::string context = json_find(json, "ctx_a") != nullptr
                            ? json_string(json, "ctx_a", origin) + " " + capitalized(json_string(json, "ctx_b", origin))
                            : json_string(json, "ctx", origin);
  if (json_find(json, "activity_label") != nullptr)
    context = json_string(json, "activity_label", origin) + ": " + context;
  ChoiceItem item;
  item.question = without_marks(context);
  for (const Json& ending : need_array(json, "endings", origin))
    item.choices.push_back(without_marks(text_of(ending, "endings", origin)));
  const int64_t label = index_of_label(json, origin);
  if (label < 0 || label >= static_cast<int64_t>(item.choices.size()))
    fail(ErrorKind::kBadFile, "data: {}: label {} is out of range, expected 0 to {} for {} endings", origin, label,
         static_cast<int64_t>(item.choices.size()) - 1, item.choices.size());
  item.answer = static_cast<int32_t>(label);
  return item;
}

ChoiceItem arc_item(const Json& json, const std::string& origin) {
  ChoiceItem item;
  std::vector<std::string> labels;
  const Json& question = json.at("question");
  if (question.is_object()) {  // AI2: {"stem", "choices": [{"text", "label"}]}
    item.question = json_string(question, "stem", origin);
    for (const Json& choice : need_array(question, "choices", origin)) {
      item.choices.push_back(json_string(choice, "text", origin));
      labels.push_back(json_string(choice, "label", origin));
    }
  } else {  // Hugging Face: {"text": [], "label": []}
    item.question = json_string(json, "question", origin);
    const Json* choices = json_find(json, "choices");
    if (choices == nullptr) fail(ErrorKind::kBadFile, "data: {}: key \"choices\" is missing", origin);
    for (const Json& text : need_array(*choices, "text", origin)) item.choices.push_back(text_of(text, "text", origin));
    for (const Json& label : need_array(*choices, "label", origin)) labels.push_back(text_of(label, "label", origin));
  }
  item.question = "Question: " + item.question + "\nAnswer:";
  const std::string key = json_string(json, "answerKey", origin);
  const auto found = std::find(labels.begin(), labels.end(), key);
  if (labels.size() != item.choices.size() || found == labels.end())
    fail(ErrorKind::kBadFile, "data: {}: answerKey \"{}\" is the label of none of the {} choices", origin, key,
         item.choices.size());
  item.answer = static_cast<int32_t>(found - labels.begin());
  return item;
}

}  // namespace

std::vector<ChoiceItem> read_choices(const std::filesystem::path& path, const std::string& group_key) {
  return parse_choices(read_file(path), path.string(), group_key);
}

std::vector<ChoiceItem> parse_choices(std::string_view text, const std::string& file, const std::string& group_key) {
  std::vector<ChoiceItem> items;
  for_each_json_line(text, file, [&](const Json& json, const std::string& origin, int64_t line) {
    const bool endings = json_find(json, "endings") != nullptr;
    if (!endings && json_find(json, "question") == nullptr)
      fail(ErrorKind::kBadFile,
           "data: {}: neither \"endings\" (HellaSwag) nor \"question\" (ARC); expected one of these forms", origin);
    ChoiceItem item = endings ? hellaswag_item(json, origin) : arc_item(json, origin);
    if (item.choices.size() < 2)
      fail(ErrorKind::kBadFile, "data: {}: {} answers, expected at least 2", origin, item.choices.size());
    for (const std::string& choice : item.choices)
      if (choice.empty()) fail(ErrorKind::kBadFile, "data: {}: an answer is empty", origin);
    if (group_key != "group" || json_find(json, "group") != nullptr)
      item.group = group_value(json, group_key.c_str(), "data: " + origin);
    item.line = line;
    items.push_back(std::move(item));
  });
  if (items.empty()) fail(ErrorKind::kBadFile, "data: {}: no questions", file);
  return items;
}

}  // namespace vernier
