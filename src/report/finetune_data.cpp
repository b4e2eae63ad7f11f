#include "report/finetune_data.h"

#include <functional>

#include "base/fail.h"

namespace vernier {

namespace {

constexpr const char* kTuned = "finetune.json";

const Json& part(const Json& json, const char* key) {
  const Json* value = json_find(json, key);
  if (value == nullptr) fail(ErrorKind::kBadFile, "report: {}: key \"{}\" is missing; train again", kTuned, key);
  return *value;
}

Json part_or_null(const Json& json, const char* key) {
  const Json* value = json_find(json, key);
  return value == nullptr ? Json() : *value;
}

/// Per evaluation the mean and the worst group.
Json curve_of(const char* name, const Json& curve) {
  Json out = {{"name", name},
              {"best_step", part(curve, "best_step")},
              {"objective", part_or_null(curve, "objective")},
              {"stopped", part(curve, "stopped")},
              {"points", Json::array()}};
  for (const Json& point : part(curve, "points")) {
    const Json& validation = part(point, "validation");
    Json shown = {{"step", part(point, "step")},
                  {"learning_rate", part_or_null(point, "learning_rate")},
                  {"training_loss", part_or_null(point, "training_loss")},
                  {"kl_nats", part_or_null(part(validation, "all"), "kl_nats")},
                  {"worst_kl_nats", nullptr},
                  {"worst_group", ""}};
    for (const auto& [group, loss] : part(validation, "groups").items()) {
      const double kl = number_or_nan(loss, "kl_nats", kTuned);
      if (!shown["worst_kl_nats"].is_null() && !(kl > shown["worst_kl_nats"].get<double>())) continue;
      shown["worst_kl_nats"] = finite_or_null(kl);
      shown["worst_group"] = group;
    }
    out["points"].push_back(shown);
  }
  return out;
}

/// A loss per byte where bytes were counted: tokens of different groups differ in length.
Json model_cell(const Json& loss) {
  const double bytes = number_or_nan(loss, "bytes", kTuned), scored = number_or_nan(loss, "scored", kTuned);
  const double scale = bytes > 0 ? scored / bytes : 1;
  return {{"kl_nats", part_or_null(loss, "kl_nats")},
          {"kl_nats_stderr", part_or_null(loss, "kl_nats_stderr")},
          {"loss_nats", finite_or_null(scale * number_or_nan(loss, "nll_nats", kTuned))},
          {"loss_nats_stderr", finite_or_null(scale * number_or_nan(loss, "nll_nats_stderr", kTuned))},
          {"right_share", part_or_null(loss, "right_share")}};
}

Json group_row(const std::string& name, const Json& models, const Json& change,
               const std::function<const Json&(const Json&)>& losses_of) {
  const Json& first = losses_of(models.front());
  Json row = {{"name", name},
              {"examples", part_or_null(first, "examples")},
              {"scored", part_or_null(first, "scored")},
              {"models", Json::array()},
              {"change", change}};
  for (const auto& [label, model] : models.items()) row["models"].push_back(model_cell(losses_of(model)));
  return row;
}

}  // namespace

Json finetune_section(const Json& finetune) {
  const Json& models = part(finetune, "models");
  if (!models.is_object() || models.empty())
    fail(ErrorKind::kBadFile, "report: {}: key \"models\": expected a model at least", kTuned);
  const Json changes = part_or_null(finetune, "changes");
  Json out;
  for (const char* key : {"plan", "file_bytes", "measured_on", "data", "options"}) out[key] = part(finetune, key);
  out["curves"] = Json::array();
  for (const char* name : {"trained", "control"})
    if (const Json* curve = json_find(finetune, name)) out["curves"].push_back(curve_of(name, *curve));
  out["models"] = Json::array();
  for (const auto& [name, model] : models.items()) out["models"].push_back(name);
  const Json& first = models.front();
  out["loss_per_byte"] = json_find(part(first, "all"), "bytes") != nullptr;
  const auto change_of = [&](const Json& of) { return of.is_object() ? of : Json(); };
  out["all"] = group_row("", models, change_of(part_or_null(changes, "all")),
                         [](const Json& model) -> const Json& { return part(model, "all"); });
  out["groups"] = Json::array();
  for (const auto& [group, loss] : part(first, "groups").items())
    out["groups"].push_back(group_row(
        group, models, change_of(part_or_null(part_or_null(changes, "groups"), group.c_str())),
        [&name = group](const Json& model) -> const Json& { return part(part(model, "groups"), name.c_str()); }));
  return out;
}

Json finetune_data(const Json& finetune) {
  Json data;
  data["schema_version"] = 1;
  data["title"] = "Trained with rounding: " + json_string(finetune, "model", kTuned);
  // The page's header: all that is not known is null.
  data["provenance"] = {
      {"tool_version", part_or_null(finetune, "tool_version")},
      {"libtorch", ""},
      {"model", {{"name", part(finetune, "model")}, {"hash", part_or_null(finetune, "model_hash")}, {"family", ""}}},
      {"options", part(finetune, "options")},
      {"artefacts", Json::object()}};
  for (const char* key : {"calibration", "evaluation", "shared_token_runs", "seed"}) data["provenance"][key] = nullptr;
  for (const char* key : {"results", "groups", "diagnosis", "plan"}) data[key] = nullptr;
  data["finetune"] = finetune_section(finetune);
  return data;
}

}  // namespace vernier
