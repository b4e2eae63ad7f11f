#pragma once

// --data of `vernier groups`: labelled images or any form of text, by what model and files are.

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/image_arguments.h"
#include "data/text_kind.h"
#include "vernier/grouped_answers.h"

namespace vernier {

/// What examples were made of, where their losses can be differentiated: images or windows. None for several forms of data at
/// once, which have no loss in common.
struct GroupedSource {
  std::shared_ptr<const LabelledImages> images = {};
  std::shared_ptr<const EvaluationData> windows = {};
};

struct GroupDataArgument {
  std::vector<std::string> data;
  ImageArguments images;
  std::string group_key = "group", filter, score = "half";
  int64_t context = 512, windows = 0, shots = 0;

  void add(CLI::App& app, CommandFiles& files);
  /// Refuses what means nothing for such a model. @throws Error{kInvalidArgument}
  void check_options(const Model& model) const;
  /// Texts and questions, say. @throws as kind_of_text
  bool has_several_forms() const;
  /// All that is read of it, as it stands in the files. @throws Error{kIo, kBadFile} as read_text_file
  std::vector<std::string> texts() const;
  /// What all models answer to it, the running texts together and every other file by itself; `source` is what it was read
  /// as. @throws as the readers of each form and grouped_answers.h
  std::vector<GroupedAnswers> answers(const Model& reference, const std::vector<const Model*>& models,
                                      const EvaluateOptions& options, GroupedSource& source, Console& console) const;

 private:
  const CLI::App* command_ = nullptr;
  std::vector<GroupedAnswers> of_images(const Model& reference, const std::vector<const Model*>& models,
                                        const EvaluateOptions& options, GroupedSource& source, Console& console) const;
  /// @param arguments all running texts, or one file of another kind
  std::vector<GroupedAnswers> of_text(TextKind kind, const std::vector<std::string>& arguments,
                                      const Tokenizer& tokenizer, const Model& reference,
                                      const std::vector<const Model*>& models, const EvaluateOptions& options,
                                      GroupedSource& source, Console& console) const;
  std::vector<GroupedAnswers> of_documents(EvaluationData documents, const Model& reference,
                                           const std::vector<const Model*>& models, const EvaluateOptions& options,
                                           GroupedSource& source, Console& console) const;
  EvaluationData running_texts(const Tokenizer& tokenizer, const std::vector<std::string>& arguments,
                               Console& console) const;
};

}  // namespace vernier
