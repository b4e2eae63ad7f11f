#include "report/activations_data.h"

#include "base/fail.h"

namespace vernier {

namespace {

constexpr const char* kActivationsFile = "activations.json";

const Json& study_member(const Json& json, const char* key) {
  const Json* value = json_find(json, key);
  if (value == nullptr)
    fail(ErrorKind::kBadFile, "report: {}: key \"{}\" is missing; make it again with `vernier activations`",
         kActivationsFile, key);
  return *value;
}

}  // namespace

Json activations_section(const Json& study) {
  if (json_string(study, "kind", kActivationsFile) != "activation_study")
    fail(ErrorKind::kBadFile, "report: {}: expected what `vernier activations` writes", kActivationsFile);
  Json section;
  for (const char* key : {"data", "windows", "facts", "grids", "caches"}) section[key] = study_member(study, key);
  section["inputs"] = json_find(study, "inputs") != nullptr ? study["inputs"] : Json("window");
  for (const char* key : {"data", "windows", "tokens", "sites", "outlier_features", "first_token_share"})
    study_member(section["facts"], key);
  return section;
}

Json activations_page(const Json& study) {
  const Json section = activations_section(study);
  const Json& model = study_member(study, "model");
  const std::string inputs = json_string(section, "inputs", kActivationsFile) + "s";
  return {{"schema_version", 1},
          {"title", "Activations of " + json_string(model, "name", kActivationsFile)},
          {"provenance",
           {{"tool_version", study_member(study, "tool_version")},
            {"model", model},
            {"options",
             {{"calibration", section.at("facts").at("data")},
              {"calibration_" + inputs, section.at("facts").at("windows")},
              {"data", section.at("data")},
              {inputs, section.at("windows")}}},
            {"seed", nullptr}}},
          {"results", nullptr},
          {"groups", nullptr},
          {"diagnosis", nullptr},
          {"plan", nullptr},
          {"activations", section}};
}

}  // namespace vernier
