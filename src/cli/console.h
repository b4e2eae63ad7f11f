#pragma once

// What every subcommand shares: where its output goes, and the options that name a model, files and --json.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/progress.h"
#include "base/terminal.h"
#include "cli/command_files.h"

namespace vernier {

/// Result on stdout, progress on stderr.
struct Console {
  std::FILE* out = stdout;
  ConsoleProgress progress{stderr};
  /// Terminal columns that tables may take; 0 for files and pipes.
  size_t width() const { return static_cast<size_t>(terminal_width(out)); }
};

/// --json [FILE]: the result for machines, on stdout when no file is named.
struct JsonArgument {
  std::string file;
  CLI::Option* option = nullptr;
  void add(CLI::App& app, CommandFiles& files);
  /// Writes `json` where asked; true when stdout took it, so that no table should follow.
  bool write(const Json& json, Console& console) const;
};

/// Options by the type of their value, so that CLI11's templates are compiled here and not by every subcommand.
CLI::Option* add_option(CLI::App& command, const std::string& name, std::string& value, const std::string& help = "");
CLI::Option* add_option(CLI::App& command, const std::string& name, std::vector<std::string>& value,
                        const std::string& help = "");
CLI::Option* add_option(CLI::App& command, const std::string& name, std::vector<double>& value,
                        const std::string& help = "");
CLI::Option* add_option(CLI::App& command, const std::string& name, int& value, const std::string& help = "");
CLI::Option* add_option(CLI::App& command, const std::string& name, int64_t& value, const std::string& help = "");
CLI::Option* add_option(CLI::App& command, const std::string& name, uint64_t& value, const std::string& help = "");
CLI::Option* add_option(CLI::App& command, const std::string& name, double& value, const std::string& help = "");
CLI::Option* add_flag(CLI::App& command, const std::string& name, bool& value, const std::string& help);

/// MODEL.
void add_model(CLI::App& command, CommandFiles& files, std::string& model);
/// An option that names a file, or several, to read; they must be there.
CLI::Option* add_input(CLI::App& command, CommandFiles& files, const std::string& name, std::string& path,
                       const std::string& help);
CLI::Option* add_input(CLI::App& command, CommandFiles& files, const std::string& name, std::vector<std::string>& paths,
                       const std::string& help);
/// An option that names a file to write.
CLI::Option* add_output(CLI::App& command, CommandFiles& files, const std::string& name, std::string& path,
                        const std::string& help);
/// For names of outputs: an empty one, such as an unset variable leaves, is none.
CLI::Validator named();

/// Bounds that an error names, but not the help, where they would hide what an option is for.
CLI::Validator within(int64_t least, int64_t most);
/// For counts of windows and rows; 0 means all.
inline CLI::Validator count_range() { return within(0, int64_t{1} << 40); }
inline CLI::Validator context_range() { return within(8, int64_t{1} << 24); }

/// A file that the command `stage` wrote. @throws Error{kIo} where there is none; {kInvalidArgument} for what is known to be of
/// another command; {kBadFile} for what is no JSON
Json read_artefact(const std::string& path, const char* stage);

}  // namespace vernier
