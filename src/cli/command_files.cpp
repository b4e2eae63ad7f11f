#include "cli/command_files.h"

#include "base/fail.h"
#include "base/file_identity.h"
#include "vernier/model_outline.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (entry->is_regular_file(code)) files.push_back(entry->path());
  return files;
}

}  // namespace

void CommandFiles::reads(const std::string& path) {
  inputs_.emplace_back([&path] { return std::vector<fs::path>{path}; });
}

void CommandFiles::reads(const std::vector<std::string>& paths) {
  inputs_.emplace_back([&paths] { return std::vector<fs::path>(paths.begin(), paths.end()); });
}

void CommandFiles::reads_in(const std::string& folder, std::vector<std::string> names) {
  inputs_.emplace_back([&folder, names = std::move(names)] {
    std::vector<fs::path> files;
    for (const std::string& name : names) files.push_back(fs::path(folder) / name);
    return files;
  });
}

void CommandFiles::reads_model(const std::string& name) {
  inputs_.emplace_back([&name] { return name.empty() ? std::vector<fs::path>{} : files_of_model(name); });
}

void CommandFiles::reads_models(const std::vector<std::string>& names) {
  inputs_.emplace_back([&names] {
    std::vector<fs::path> files;
    for (const std::string& name : names)
      for (const fs::path& file : files_of_model(name)) files.push_back(file);
    return files;
  });
}

void CommandFiles::reads_named(const std::vector<std::string>& arguments) {
  inputs_.emplace_back([&arguments] {
    std::vector<fs::path> files;
    for (const std::string& argument : arguments) {
      const size_t sign = fs::exists(argument) ? std::string::npos : argument.find('=');
      files.emplace_back(sign == std::string::npos ? argument : argument.substr(sign + 1));
    }
    return files;
  });
}

void CommandFiles::writes(const std::string& option, const std::string& path) {
  outputs_.push_back({option, [&path] { return path.empty() ? std::vector<fs::path>{} : std::vector<fs::path>{path}; },
                      [&path] {
                        if (!path.empty()) require_writable(path);
                      }});
}

void CommandFiles::writes_folder(const std::string& option, const std::string& folder, std::vector<std::string> names) {
  outputs_.push_back({option,
                      [&folder, names = std::move(names)] {
                        if (folder.empty()) return std::vector<fs::path>{};
                        std::vector<fs::path> files{folder};
                        for (const std::string& name : names)
                          if (!name.ends_with('/'))
                            files.push_back(fs::path(folder) / name);
                          else
                            for (const fs::path& file : files_in(fs::path(folder) / name)) files.push_back(file);
                        return files;
                      },
                      [&folder] {
                        if (!folder.empty()) require_writable_folder(folder);
                      }});
}

void CommandFiles::check() const {
  std::vector<std::pair<std::string, fs::path>> written;
  for (const Output& output : outputs_) {
    const std::vector<fs::path> files = output.files();
    for (const fs::path& file : files) {
      for (const auto& input : inputs_)
        for (const fs::path& read : input())
          if (same_file(file, read))
            fail(ErrorKind::kInvalidArgument, "{} {}: this is {}, which the command reads; name another output",
                 output.option, file.string(), file == read ? "an input" : "the same file as " + read.string());
      for (const auto& [option, other] : written)
        if (same_file(file, other) ? !is_stream(file) : file.lexically_normal() == other.lexically_normal())
          fail(ErrorKind::kInvalidArgument, "{} and {} are both {}; name another output", option, output.option,
               file.string());
    }
    for (const fs::path& file : files) written.emplace_back(output.option, file);  // a run's own files may be links
    output.require_writable();
  }
}

}  // namespace vernier
