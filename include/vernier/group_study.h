#pragma once

// Who pays, for several quantized models beside one reference: figures per group and the chain of causes of each. In: what
// they answered to the same examples. Out: groups.json, from which the report is made.
//
//   const std::vector<GroupedAnswers> answers = answer_documents(model, {&quantized}, windows);
//   const GroupStudy study = study_groups(answers, {"int4:channel"}, {});
//   print(study.entries[0].chains[0].report.steps[0].claim);

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vernier/group_chain.h"
#include "vernier/groups.h"

namespace vernier {

/// What a reference and models answered to the same examples.
struct GroupedAnswers {
  std::string unit;  ///< what a loss is per: "image", "token", "byte", "document", "question", "sentence pair"
  /// Of tolerances of losses, which are per token: tokens in one unit.
  double tokens_per_unit = 1;
  GroupedExamples examples;
  Answers reference;
  std::vector<Answers> models;  ///< none: the reference stands for itself
  std::vector<Answers>
      rescaled;  ///< losses with the reference's logit variance (rescaled_answers), of each model; or empty
};

struct AttributeChain {
  std::string attribute;
  std::vector<ChainRecord> records;
  ChainReport report;
};

/// One model, its loss in one unit.
struct GroupStudyEntry {
  std::string label;  ///< its scheme, or the model's name
  std::string unit;
  GroupAnalysis analysis;
  std::vector<AttributeChain> chains;  ///< one per attribute; none where the reference stands for itself
};

struct GroupStudy {
  std::vector<GroupStudyEntry> entries;  ///< by model, then by unit
  /// Of the model and what it was made with: hashes, options, size of each quantized model.
  nlohmann::ordered_json provenance = nlohmann::ordered_json::object();
};

/// Adds to the records of model number `model` what else was measured of the groups of an attribute: activations,
/// gradients, curvature. `unit` is that of the records' losses: what foretells them must be in it too.
using CompleteRecords = std::function<void(size_t model, const std::string& unit, const std::string& attribute,
                                           std::vector<ChainRecord>& records)>;

/// Tolerances of "loss_nats" and "kl_nats" are per token, image or question, and scaled to the unit.
/// @throws Error{kInvalidArgument} as analyse_groups, and for another number of labels than of models
/// @cost analyse_groups for each model and unit
GroupStudy study_groups(const std::vector<GroupedAnswers>& answers, const std::vector<std::string>& labels,
                        const GroupOptions& options, const CompleteRecords& complete = {});

nlohmann::ordered_json group_study_to_json(const GroupStudy& study);
/// @throws Error{kBadFile} naming `origin` and the key
GroupStudy group_study_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
