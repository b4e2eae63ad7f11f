#pragma once

// What is measured of a model's answers, one row each. Sums, JSON, tables and the report's columns are made from these
// rows and from nothing else.
//
//   for (const Metric& metric : metrics())
//     if (const Measured* value = scores.find(metric.key)) print(metric.name, metric.scale * value->mean);

#include <string_view>
#include <vector>

#include "vernier/measured.h"
#include "vernier/worse.h"

namespace vernier {

/// What a sum over scored examples is divided by.
enum class Per {
  kToken,     ///< scored token
  kDocument,  ///< only of documents, i.e. texts of known length
  kByte,      ///< UTF-8, of documents
  kImage,     ///< with one class
};

/// What one scored example adds to a sum; the library's own.
struct Measure;

struct Metric {
  std::string_view key;      ///< in JSON, with its unit; the standard error is under key + "_stderr"
  std::string_view name;     ///< in tables of the command line, in llama-perplexity's words where it has some
  std::string_view title;    ///< in the report, in plain words
  std::string_view meaning;  ///< a sentence for those who do not know it
  std::string_view unit;     ///< "nats", "bits"; "share" in [0, 1]; "" for none
  Per per = Per::kToken;
  Worse worse = Worse::kHigher;
  /// The mean is the sum of `of`, less that of `minus`, over what it is per; its standard error is over distinct
  /// clusters (ratio_estimate), and `finish` converts both.
  const Measure* of = nullptr;
  const Measure* minus = nullptr;
  Measured (*finish)(const Measured&) = nullptr;
  double scale = 1;  ///< of the values in tables: 100 for shares, shown in per cent
  int decimals = 6;
  /// Whether it is a column where models, or groups of documents, stand side by side.
  bool column_of_models = false, column_of_groups = false;

  bool needs_reference() const;
  bool needs_documents() const { return per == Per::kDocument || per == Per::kByte; }
};

/// All of them, the most telling ones first.
const std::vector<Metric>& metrics();
/// Those of images with their classes, a row per quantity: accuracy, and what text has as well, under the same keys.
const std::vector<Metric>& image_metrics();
/// nullptr when there is none of that key.
const Metric* find_metric(std::string_view key);

}  // namespace vernier
