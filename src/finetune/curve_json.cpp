#include "finetune/curve_json.h"

#include "base/fail.h"
#include "base/measured_json.h"
#include "base/statistics.h"

namespace vernier {

namespace {

struct Figure {
  const char* key;
  Measured GroupLoss::*value;
};
constexpr Figure kFigures[] = {
    {"kl_nats", &GroupLoss::kl_nats}, {"nll_nats", &GroupLoss::nll_nats}, {"right_share", &GroupLoss::right_share}};

std::string stderr_key(const Figure& figure) { return std::string(figure.key) + "_stderr"; }

Json loss_to_json(const GroupLoss& loss) {
  Json json = {{"examples", loss.examples}, {"scored", loss.scored}};
  if (loss.bytes > 0) {
    json["bytes"] = loss.bytes;
    json["nll_nats_per_byte"] = loss.nll_nats_per_byte();
  }
  for (const Figure& figure : kFigures) {
    json[figure.key] = finite_or_null((loss.*figure.value).mean);
    json[stderr_key(figure)] = finite_or_null((loss.*figure.value).standard_error);
  }
  return json;
}

GroupLoss loss_from_json(const Json& json, const std::string& origin) {
  GroupLoss loss;
  loss.examples = json_int(json, "examples", origin, 0, kMaxCount);
  loss.scored = json_number(json, "scored", origin);
  if (json_find(json, "bytes") != nullptr) loss.bytes = json_number(json, "bytes", origin);
  for (const Figure& figure : kFigures)
    loss.*figure.value = {number_or_nan(json, figure.key, origin),
                          number_or_nan(json, stderr_key(figure).c_str(), origin)};
  return loss;
}

FinetuneEvaluation evaluation_from_json(const Json& json, const std::string& origin) {
  FinetuneEvaluation evaluation;
  evaluation.all = loss_from_json(json_member(json, "all", origin), origin);
  for (const auto& [name, group] : json_member(json, "groups", origin).items())
    evaluation.groups[name] = loss_from_json(group, origin);
  return evaluation;
}

}  // namespace

nlohmann::ordered_json finetune_evaluation_to_json(const FinetuneEvaluation& evaluation) {
  Json json = {{"all", loss_to_json(evaluation.all)}, {"groups", Json::object()}};
  for (const auto& [name, group] : evaluation.groups) json["groups"][name] = loss_to_json(group);
  return json;
}

nlohmann::ordered_json finetune_changes_to_json(const FinetuneChanges& changes) {
  const auto change = [](const LossChange& own) {
    Json json;
    for (const auto& [key, figure] : {std::pair("kl_nats", own.kl_nats), std::pair("nll_nats", own.nll_nats),
                                      std::pair("right_share", own.right_share)})
      json[key] = {{"value", finite_or_null(figure.mean)},
                   {"low", finite_or_null(figure.mean - kNormal95 * figure.standard_error)},
                   {"high", finite_or_null(figure.mean + kNormal95 * figure.standard_error)}};
    return json;
  };
  Json json = {{"all", change(changes.all)}, {"groups", Json::object()}};
  for (const auto& [name, own] : changes.groups) json["groups"][name] = change(own);
  return json;
}

nlohmann::ordered_json finetune_curve_to_json(const FinetuneCurve& curve) {
  Json json = {{"best_step", curve.best_step},
               {"objective", curve.objective},
               {"best_objective", finite_or_null(curve.best)},
               {"stopped", curve.stopped},
               {"points", Json::array()}};
  for (const FinetunePoint& point : curve.points)
    json["points"].push_back({{"step", point.step},
                              {"learning_rate", point.learning_rate},
                              {"training_loss", finite_or_null(point.training_loss)},
                              {"validation", finetune_evaluation_to_json(point.validation)}});
  for (const FinetuneStage& stage : curve.stages)
    json["stages"].push_back({{"name", stage.name}, {"seconds", stage.seconds}, {"times", stage.times}});
  return json;
}

FinetuneCurve finetune_curve_from_json(const Json& json, const std::string& origin) {
  FinetuneCurve curve;
  curve.best_step = json_int(json, "best_step", origin, 0, kMaxCount);
  curve.best = json_number(json, "best_objective", origin);
  curve.stopped = json_string(json, "stopped", origin);
  for (const Json& row : json_member(json, "points", origin)) {
    FinetunePoint point;
    point.step = json_int(row, "step", origin, 0, kMaxCount);
    point.learning_rate = json_number(row, "learning_rate", origin);
    point.training_loss = number_or_nan(row, "training_loss", origin);
    point.validation = evaluation_from_json(json_member(row, "validation", origin), origin);
    curve.points.push_back(std::move(point));
  }
  return curve;
}

nlohmann::ordered_json finetune_options_to_json(const FinetuneOptions& o) {
  return {{"steps", o.steps},
          {"batch", o.batch},
          {"accumulate", o.accumulate},
          {"learning_rate", o.learning_rate},
          {"level_rate", o.level_rate},
          {"warm_up_steps", o.warm_up_steps},
          {"weight_decay", o.weight_decay},
          {"clip_norm", o.clip_norm},
          {"loss", o.loss},
          {"feature_weight", o.feature_weight},
          {"final_feature_weight", o.final_feature_weight},
          {"weighting", o.weighting},
          {"sampling", o.sampling},
          {"oversample", o.oversample},
          {"dro_rate", o.dro_rate},
          {"cvar_share", o.cvar_share},
          {"activations", o.activations.name()},
          {"only", o.only},
          {"learn_scales", o.learn_scales},
          {"scale_rate", o.scale_rate},
          {"dampening", o.dampening},
          {"singular_band", o.singular_band},
          {"resample", o.resample},
          {"draw_ahead", o.draw_ahead},
          {"keep_answers", o.keep_answers},
          {"average", o.average},
          {"shift", o.shift},
          {"mirror", o.mirror},
          {"cutmix", o.cutmix},
          {"patch_dropout", o.patch_dropout},
          {"gradient_l1", o.gradient_l1},
          {"drop_bits", o.drop_bits},
          {"refit_steps", o.refit_steps},
          {"recode_steps", o.recode_steps},
          {"evaluate_steps", o.evaluate_steps},
          {"objective", o.objective},
          {"patience", o.patience},
          {"anneal_minutes", o.anneal_minutes},
          {"decay", o.decay},
          {"final_rate", o.final_rate},
          {"seed", o.seed},
          {"dtype", o.compute.type == ComputeType::kBFloat16 ? "bf16" : "f32"},
          {"device", o.compute.device},
          {"kernel_attention", o.kernel_attention}};
}

}  // namespace vernier
