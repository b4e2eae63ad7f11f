#include "cli/console.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/fail.h"

namespace vernier {

void JsonArgument::add(CLI::App& app, CommandFiles& files) {
  const auto take = [this](const CLI::results_t& results) {
    const std::string name = results.empty() ? "" : results.front();
    file = name == "{}" || name == "-" ? "" : name;  // "{}": no file was named
    return true;
  };
  option = app.add_option("--json", take, "Result as JSON, to FILE or to stdout")->expected(0, 1)->type_name("[FILE]");
  files.writes("--json", file);
}

bool JsonArgument::write(const Json& json, Console& console) const {
  if (option->count() == 0) return false;
  if (file.empty()) {
    fmt::print(console.out, "{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
    return true;
  }
  write_json(file, json);
  return false;
}

namespace {
/// Of no rate, time or share: "inf" and "nan" are numbers to a parser.
CLI::Validator finite() {
  return {[](const std::string& text) {
            double value = 0;
            const bool number = CLI::detail::lexical_cast(text, value);  // what is none is told by the option itself
            return number && !std::isfinite(value) ? "expected a finite number, got " + text : std::string();
          },
          ""};
}
}  // namespace

CLI::Option* add_option(CLI::App& command, const std::string& name, std::string& value, const std::string& help) {
  return command.add_option(name, value, help);
}
CLI::Option* add_option(CLI::App& command, const std::string& name, std::vector<std::string>& value,
                        const std::string& help) {
  return command.add_option(name, value, help);
}
CLI::Option* add_option(CLI::App& command, const std::string& name, std::vector<double>& value,
                        const std::string& help) {
  return command.add_option(name, value, help)->check(finite());
}
CLI::Option* add_option(CLI::App& command, const std::string& name, int& value, const std::string& help) {
  return command.add_option(name, value, help);
}
CLI::Option* add_option(CLI::App& command, const std::string& name, int64_t& value, const std::string& help) {
  return command.add_option(name, value, help);
}
CLI::Option* add_option(CLI::App& command, const std::string& name, uint64_t& value, const std::string& help) {
  return command.add_option(name, value, help);
}
CLI::Option* add_option(CLI::App& command, const std::string& name, double& value, const std::string& help) {
  return command.add_option(name, value, help)->check(finite());
}

CLI::Option* add_flag(CLI::App& command, const std::string& name, bool& value, const std::string& help) {
  return command.add_flag(name, value, help);
}

CLI::Validator within(int64_t least, int64_t most) { return CLI::Range(least, most).description(""); }

void add_model(CLI::App& command, CommandFiles& files, std::string& model) {
  add_option(command, "MODEL", model, "Hugging Face directory, GGUF file, or name in the local Hugging Face cache")
      ->required();
  files.reads_model(model);
}

CLI::Option* add_input(CLI::App& command, CommandFiles& files, const std::string& name, std::string& path,
                       const std::string& help) {
  files.reads(path);
  return add_option(command, name, path, help)->check(CLI::ExistingFile);
}

CLI::Option* add_input(CLI::App& command, CommandFiles& files, const std::string& name, std::vector<std::string>& paths,
                       const std::string& help) {
  files.reads(paths);
  return add_option(command, name, paths, help)->check(CLI::ExistingFile);
}

CLI::Option* add_output(CLI::App& command, CommandFiles& files, const std::string& name, std::string& path,
                        const std::string& help) {
  files.writes(name.substr(name.rfind(',') + 1), path);
  return add_option(command, name, path, help)->check(named());
}

CLI::Validator named() {
  return {[](const std::string& name) { return name.empty() ? std::string("expected a name, got nothing") : ""; }, ""};
}

namespace {

/// Kinds of artefacts and the command that writes each.
constexpr std::pair<std::string_view, std::string_view> kArtefacts[] = {
    {"plan", "plan"},          {"plan --front", "front"},
    {"run", "damage"},         {"run", "run"},
    {"groups", "group_study"}, {"activations", "activation_study"},
    {"screen", "screen"},      {"diagnose", "diagnosis"},
    {"protect", "protection"}, {"evaluate", "evaluation"},
    {"finetune", "finetune"},  {"evaluate --reliability", "reliability"},
};

/// Screens and diagnoses of before they had one are known by a key.
std::string kind_of(const Json& json) {
  if (const Json* own = json_find(json, "kind"); own != nullptr) return own->is_string() ? own->get<std::string>() : "";
  if (json_find(json, "kfac_rows") != nullptr) return "screen";
  return json_find(json, "noise_floor_kl_nats") != nullptr ? "diagnosis" : "";
}

}  // namespace

Json read_artefact(const std::string& path, const char* stage) {
  if (!std::filesystem::exists(path))
    fail(ErrorKind::kIo, "{}: no such file; make it with `vernier {} MODEL -o {}`", path, stage, path);
  if (path.ends_with(".safetensors") || path.ends_with(".gguf"))
    fail(ErrorKind::kInvalidArgument, "{}: holds tensors; expected what `vernier {}` writes, which is JSON", path,
         stage);
  Json json = read_json(path);
  if (!json.is_object()) return json;
  const std::string kind = kind_of(json);
  for (const auto& [command, own] : kArtefacts)
    if (command != stage && own == kind)
      fail(ErrorKind::kInvalidArgument, "{}: is of `vernier {}`; expected what `vernier {}` writes", path, command,
           stage);
  return json;
}

}  // namespace vernier
