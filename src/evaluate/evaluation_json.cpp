#include "base/fail.h"
#include "base/json.h"
#include "base/measured_json.h"
#include "vernier/evaluate.h"
#include "vernier/version.h"

namespace vernier {

namespace {

constexpr const char* kExact = "exact";
constexpr const char* kLlamaCpp = "llama.cpp";

void put(Json& json, const std::string& key, const std::optional<Measured>& value) {
  if (value) put_measured(json, key, *value);
}

Json scores_json(const Scores& scores) {
  Json json;
  json["tokens"] = scores.tokens;
  json["perplexity"] = scores.perplexity();
  json["perplexity_stderr"] = finite_or_null(scores.perplexity_standard_error());
  put(json, "nll_nats", scores.nll);
  put(json, "kl_nats", scores.kl);
  put(json, "delta_nll_nats", scores.delta_nll);
  put(json, "same_top_share", scores.same_top);
  put(json, "reference_nll_nats", scores.reference_nll);
  if (scores.documents > 0) {
    json["documents"] = scores.documents;
    json["distinct_documents"] = scores.distinct_documents;
    json["text_bytes"] = scores.bytes;
    put(json, "nll_bits_per_byte", scores.nll_bits_per_byte);
    put(json, "nll_nats_per_document", scores.nll_per_document);
    put(json, "reference_nll_bits_per_byte", scores.reference_nll_bits_per_byte);
    put(json, "delta_nll_bits_per_byte", scores.delta_nll_bits_per_byte);
    put(json, "delta_nll_nats_per_document", scores.delta_nll_per_document);
  }
  return json;
}

constexpr int64_t kMaxCount = int64_t{1} << 50;

Scores scores_from(const Json& json, const std::string& origin) {
  Scores scores;
  scores.tokens = json_int(json, "tokens", origin, 0, kMaxCount);
  scores.nll = measured_at(json, "nll_nats", origin);
  scores.kl = optional_measured_at(json, "kl_nats", origin);
  scores.delta_nll = optional_measured_at(json, "delta_nll_nats", origin);
  scores.same_top = optional_measured_at(json, "same_top_share", origin);
  scores.reference_nll = optional_measured_at(json, "reference_nll_nats", origin);
  if (json_find(json, "documents") != nullptr) {
    scores.documents = json_int(json, "documents", origin, 0, kMaxCount);
    // Files from before copies were looked for lack the key.
    scores.distinct_documents = json_find(json, "distinct_documents") == nullptr
                                    ? scores.documents
                                    : json_int(json, "distinct_documents", origin, 0, scores.documents);
    scores.bytes = json_int(json, "text_bytes", origin, 0, kMaxCount);
    scores.nll_bits_per_byte = measured_at(json, "nll_bits_per_byte", origin);
    scores.nll_per_document = measured_at(json, "nll_nats_per_document", origin);
    scores.delta_nll_per_document = optional_measured_at(json, "delta_nll_nats_per_document", origin);
    scores.reference_nll_bits_per_byte = optional_measured_at(json, "reference_nll_bits_per_byte", origin);
    scores.delta_nll_bits_per_byte = optional_measured_at(json, "delta_nll_bits_per_byte", origin);
  }
  return scores;
}

}  // namespace

Json evaluation_to_json(const Evaluation& evaluation) {
  Json json;
  json["schema_version"] = 1;
  json["tool_version"] = VERNIER_VERSION;
  json["model"] = evaluation.model_name;
  json["data"] = evaluation.data_name;
  json["data_hash"] = evaluation.data_hash;
  json["context"] = evaluation.context;
  json["windows"] = evaluation.windows;
  json["activations"] = evaluation.activations == Activations::kExact ? kExact : kLlamaCpp;
  json.update(scores_json(evaluation.all));
  if (evaluation.tails) {
    const Tails& t = *evaluation.tails;
    json["kl_nats_max"] = t.kl_max;
    json["kl_nats_99_9"] = t.kl_99_9;
    json["kl_nats_99"] = t.kl_99;
    json["kl_nats_median"] = t.kl_median;
    json["delta_p_mean"] = t.delta_p_mean;
    json["delta_p_rms"] = t.delta_p_rms;
    json["delta_p_5"] = t.delta_p_5;
    json["delta_p_95"] = t.delta_p_95;
  }
  for (const auto& [name, scores] : evaluation.groups) json["groups"][name] = scores_json(scores);
  return json;
}

Evaluation evaluation_from_json(const Json& json, const std::string& origin) {
  if (json_int(json, "schema_version", origin, 1, 1 << 20) != 1)
    fail(ErrorKind::kBadFile, "{}: evaluation of another schema; evaluate again", origin);
  Evaluation evaluation;
  evaluation.model_name = json_string(json, "model", origin);
  evaluation.data_name = json_string(json, "data", origin);
  evaluation.data_hash = json_string(json, "data_hash", origin);
  evaluation.context = json_int(json, "context", origin, 0, kMaxCount);
  evaluation.windows = json_int(json, "windows", origin, 0, kMaxCount);
  // Files from before there was a choice lack the key.
  const std::string activations =
      json_find(json, "activations") == nullptr ? std::string(kExact) : json_string(json, "activations", origin);
  if (activations != kExact && activations != kLlamaCpp)
    fail(ErrorKind::kBadFile, "{}: activations: expected {} or {}, got {}", origin, kExact, kLlamaCpp, activations);
  evaluation.activations = activations == kExact ? Activations::kExact : Activations::kLlamaCpp;
  evaluation.all = scores_from(json, origin);
  if (json_find(json, "kl_nats_max") != nullptr) {
    const auto number = [&](const char* key) { return json_number(json, key, origin); };
    evaluation.tails =
        Tails{number("kl_nats_max"),  number("kl_nats_99_9"), number("kl_nats_99"), number("kl_nats_median"),
              number("delta_p_mean"), number("delta_p_rms"),  number("delta_p_5"),  number("delta_p_95")};
  }
  if (const Json* groups = json_find(json, "groups"))
    for (const auto& [name, scores] : groups->items()) evaluation.groups[name] = scores_from(scores, origin);
  return evaluation;
}

}  // namespace vernier
