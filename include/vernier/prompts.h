#pragma once

// Sentences that make a zero-shot classifier of an image and text model: a class is the mean of what the text tower makes
// of its prompts.
//
//   for (const std::string& prompt : prompts_of(prompt_templates("best-7"), "airplane")) print(prompt);

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

/// Templates in which {} stands for the name of the class.
struct PromptTemplates {
  std::string name;
  std::vector<std::string> templates;
};

/// "single" ("a photo of a {}.") and "best-7" (the seven that OpenAI's notebook on prompts ends with, chosen on ImageNet).
const std::vector<PromptTemplates>& known_prompt_templates();

/// Known ones by name, else those of a text file, one per line; empty lines and those that begin with # are skipped.
/// {class} may stand for {}.
/// @throws Error{kInvalidArgument} for a name that is neither; Error{kBadFile} by line for a template without exactly one {}
PromptTemplates prompt_templates(const std::string& name_or_file);
/// The same from text; `origin` names it in messages.
PromptTemplates parse_prompt_templates(std::string_view text, const std::string& origin);

/// One prompt per template.
std::vector<std::string> prompts_of(const PromptTemplates& templates, const std::string& class_name);

}  // namespace vernier
