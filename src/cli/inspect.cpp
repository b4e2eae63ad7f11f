#include <fmt/format.h>

#include <algorithm>

#include "base/text_table.h"
#include "cli/subcommands.h"
#include "vernier/model_outline.h"

namespace vernier {

namespace {

Json value_of(const ConfigField& field) {
  return std::visit([](const auto& value) { return Json(value); }, field.value);
}

/// Facts of a configuration, or of each of its stacks.
void add_config(const ModelConfig& c, Json& json) {
  for (const ModelConfig& stack : c.stacks) {
    Json inner = {{"stack", ""}};  // its name comes first
    add_config(stack, inner);
    json["stacks"].push_back(inner);
  }
  if (!c.stacks.empty()) return;
  for (const ConfigField& field : fields_of(c))
    if (field.name != "family" && field.name != "stacks") json[field.name] = value_of(field);
  // Layers that are alike are told once.
  for (int first = 0, next = 0; first < c.depth(); first = next) {
    while (next < c.depth() && c.layer(next) == c.layer(first)) ++next;
    Json layers = {{"first", first}, {"last", next - 1}};
    for (const ConfigField& field : fields_of(c.layer(first))) layers[field.name] = value_of(field);
    json["layer_kinds"].push_back(layers);
  }
}

Json config_json(const ModelOutline& model) {
  const ModelConfig& c = model.config;
  Json json;
  json["name"] = model.source.name;
  json["family"] = c.family;
  json["parameters"] = model.parameters();
  json["tensor_bytes"] = model.stored_bytes();
  add_config(c, json);
  const auto matrices = std::count_if(model.tensors.begin(), model.tensors.end(),
                                      [](const TensorOutline& tensor) { return is_matrix(tensor.id.role); });
  const auto count = [&](ComponentKind kind) { return components_of(c, {kind}).size(); };
  json["components"] = {{"heads", count(ComponentKind::kHead)},     {"kv_heads", count(ComponentKind::kKvHead)},
                        {"ffns", count(ComponentKind::kFfn)},       {"experts", count(ComponentKind::kExpert)},
                        {"routers", count(ComponentKind::kRouter)}, {"matrices", matrices}};
  for (const TensorOutline& tensor : model.tensors) {
    Json one = {{"name", name_of(tensor.id)}};
    if (c.is_language_model()) one["gguf"] = gguf_name(tensor.id);  // which experts of a layer share
    one["shape"] = tensor.shape;
    one["dtype"] = tensor.scheme.name();
    json["tensors"].push_back(std::move(one));
  }
  return json;
}

/// A line of the table: an object as "key value, key value".
std::string told(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_object()) return value.dump();
  std::string line;
  for (const auto& [key, inner] : value.items()) line += (line.empty() ? "" : ", ") + key + " " + told(inner);
  return line;
}

/// Facts of the model, a row each; layers that are alike share theirs.
void add_facts(const Json& json, TextTable& table) {
  for (const auto& [key, value] : json.items()) {
    if (key == "tensors" || key == "layer_kinds" || key == "stacks") continue;
    table.add({key, told(value)});
  }
  for (const Json& kind : json.value("layer_kinds", Json::array())) {
    table.add({fmt::format("layers {} to {}", kind["first"].dump(), kind["last"].dump()), ""});
    for (const auto& [key, value] : kind.items())
      if (key != "first" && key != "last") table.add({"  " + key, told(value)});
  }
  for (const Json& stack : json.value("stacks", Json::array())) add_facts(stack, table);
}

TextTable facts_table(const Json& json) {
  TextTable table({"what", "value"});
  add_facts(json, table);
  return table;
}

}  // namespace

void add_inspect(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model;
    bool tensors = false;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command = app.add_subcommand("inspect", "What is in a model");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  add_flag(*command, "--tensors", a->tensors, "List every tensor");
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    const ModelOutline model = outline_model(a->model);
    for (const std::string& warning : model.source.warnings) console.progress.warn(warning);
    const Json json = config_json(model);
    if (a->json.write(json, console)) return;
    fmt::print(console.out, "{}", facts_table(json).str(console.width()));
    if (!a->tensors) return;
    const bool named = model.config.is_language_model();
    TextTable tensors(named ? std::vector<std::string>{"tensor", "in GGUF files", "shape", "dtype"}
                            : std::vector<std::string>{"tensor", "shape", "dtype"});
    for (const Json& t : json["tensors"]) {
      std::vector<std::string> row{t["name"].get<std::string>(), t["shape"].dump(), t["dtype"].get<std::string>()};
      if (named) row.insert(row.begin() + 1, t["gguf"].get<std::string>());
      tensors.add(row);
    }
    fmt::print(console.out, "\n{}", tensors.str(console.width()));
  });
}

}  // namespace vernier
