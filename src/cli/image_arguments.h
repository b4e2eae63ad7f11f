#pragma once

// What subcommands that show images to a model share.

#include <string>
#include <vector>

#include "cli/command_files.h"
#include "cli/console.h"
#include "vernier/labelled_images.h"
#include "vernier/model.h"
#include "vernier/vision_inputs.h"

namespace vernier {

/// --classes and --prompts.
struct ImageArguments {
  std::vector<std::string> classes;
  std::string prompts = "single";
  CLI::Option* prompts_option = nullptr;
  void add(CLI::App& app, CommandFiles& files);

  /// @throws Error{kInvalidArgument} for --prompts where nothing reads them
  void check(const Model& model, const char* command) const;
  /// A manifest or a folder of classes, by the model's names, with what there is to say about it passed on.
  LabelledImages read(const std::string& path, const Model& model, Console& console) const;
  /// `count` of them, evenly over the classes (0: all), as the model sees them.
  AnswerData data(const std::string& path, int64_t count, const Model& model, Console& console) const;
};

/// The one path that --data names for a model that sees.
/// @throws Error{kInvalidArgument} for none, several, and what is text
std::string image_set_of(const std::vector<std::string>& data, const Model& model, const char* command);

/// Refuses images for a language model; `command` begins the message. @throws Error{kInvalidArgument}
void require_texts(const std::vector<std::string>& data, const Model& model, const char* command);

/// Whom a plan is for where nobody said: a model that sees has a directory as its only target.
std::string target_for(const CLI::Option& option, const std::string& given, const Model& model);

}  // namespace vernier
