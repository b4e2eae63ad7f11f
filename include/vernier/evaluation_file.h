#pragma once

// evaluation.json: models measured on the same text, and on the same documents with groups, one row each. The one schema
// of `vernier evaluate --json` and of a run.
//
//   EvaluationFile file = evaluation_file(on_text);
//   file.rows.push_back(evaluation_row({.label = "mine", .kind = "plan", .bytes = 16950144}, on_text));
//   const nlohmann::ordered_json json = evaluation_file_to_json(file);

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "vernier/evaluate.h"

namespace vernier {

/// Rises when a reader of the one before would misread a file.
inline constexpr int kEvaluationSchema = 2;

struct EvaluationRow {
  std::string label;
  /// "reference"; "uniform", "preset" or "plan" of a run; "model" for what was given by name.
  std::string kind;
  uint64_t bytes = 0;  ///< of the whole file, or of the tensors in a directory
  double bits_per_weight = 0;
  std::optional<bool> budget_fits = {};  ///< nothing where there is no budget
  std::string method = {};               ///< of a run's files, how their values were searched
  /// Of a run's plan, the sum of its matrices' damages, each alone and on what the plan was made from; nothing where these
  /// are of rounding and the file's values are searched.
  std::optional<double> foretold_kl_nats = {};
  Scores text = {};
  std::optional<Tails> tails = {};  ///< on the text
  std::map<std::string, Scores> groups = {};
};

struct EvaluationFile {
  bool of_images = false;  ///< measured on labelled images: metrics are image_metrics(), tokens count images
  DataFacts text;
  std::optional<DataFacts> groups;  ///< the documents; the same as the text where nothing else was given
  Activations activations = Activations::kExact;
  std::optional<uint64_t> budget_bytes;
  std::vector<EvaluationRow> rows;
};

/// Without rows yet, of what `text` and `groups` were measured on; nullptr: the groups, if any, are those of the text.
EvaluationFile evaluation_file(const Evaluation& text, const Evaluation* groups = nullptr);

/// `row` with what was measured.
EvaluationRow evaluation_row(EvaluationRow row, const Evaluation& text, const Evaluation* groups = nullptr);

/// The reference's own figures, which every comparison with it measures: NLL and perplexity.
/// @throws Error{kInvalidArgument} when `compared` was not compared with one
Scores scores_of_reference(const Scores& compared);

/// tokens, documents and one pair of keys per metric: perplexity, nll_nats, kl_nats, kl_nats_stderr, same_top_share ...
nlohmann::ordered_json scores_to_json(const Scores& scores);

/// data.text, data.groups, metrics (what each key means), rows[].text, rows[].groups.{name} ...
nlohmann::ordered_json evaluation_file_to_json(const EvaluationFile& file);
/// @throws Error{kBadFile} naming `origin` and the key
EvaluationFile evaluation_file_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
