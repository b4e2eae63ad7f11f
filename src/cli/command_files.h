#pragma once

// The files of one subcommand, told where its options are declared and looked at before it does anything: no output is
// an input, by whatever name, no two outputs are one file, and every output can be written.
//
//   files.reads(a->data);  files.writes("--output", a->output);      // by reference: options are parsed later
//   command->callback([a] { a->files.check(); ... });

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace vernier {

class CommandFiles {
 public:
  void reads(const std::string& path);
  void reads(const std::vector<std::string>& paths);
  /// These files of a folder.
  void reads_in(const std::string& folder, std::vector<std::string> names);
  /// A folder's files, a GGUF file with its other parts, or what a name in the Hugging Face cache means.
  void reads_model(const std::string& name);
  void reads_models(const std::vector<std::string>& names);
  /// The files of arguments FILE or NAME=FILE.
  void reads_named(const std::vector<std::string>& arguments);

  /// Nothing is written where the path is empty.
  void writes(const std::string& option, const std::string& path);
  /// `names` will be written inside the folder; those that end in '/' are folders of which any file may be.
  void writes_folder(const std::string& option, const std::string& folder, std::vector<std::string> names);

  /// @throws Error{kInvalidArgument} for an output that is an input or another output; {kIo} for one that cannot be
  ///         written
  void check() const;

 private:
  struct Output {
    std::string option;
    std::function<std::vector<std::filesystem::path>()> files;  ///< those that would be replaced or made
    std::function<void()> require_writable;
  };
  std::vector<std::function<std::vector<std::filesystem::path>()>> inputs_;
  std::vector<Output> outputs_;
};

}  // namespace vernier
