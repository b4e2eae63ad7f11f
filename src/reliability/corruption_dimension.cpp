// Accuracy under every corruption and severity, and beside it that of the original with noise of the quantizer's power.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "reliability/correctness.h"
#include "reliability/image_dimensions.h"
#include "reliability/matched_noise.h"
#include "reliability/paired_bootstrap.h"
#include "vernier/corruptions.h"
#include "vernier/decode_images.h"

namespace vernier {

namespace {

constexpr int kControlSeverity = 3;  // the control is for the whole, not for each curve

/// The images that are corrupted.
struct Chosen {
  std::vector<size_t> indices;
  std::vector<std::filesystem::path> paths;
  std::vector<int32_t> labels;
};

Chosen chosen_images(const ImageReliability& of) {
  Chosen chosen{of.spread(of.request.options.corruption_images), {}, {}};
  for (const size_t i : chosen.indices) {
    chosen.paths.push_back(of.images.images[i].path);
    chosen.labels.push_back(of.images.images[i].label);
  }
  return chosen;
}

std::vector<const Corruption*> wanted_corruptions(const ReliabilityOptions& options) {
  std::vector<const Corruption*> rows;
  for (const Corruption& row : corruptions())
    if (options.corruptions.empty() || std::count(options.corruptions.begin(), options.corruptions.end(), row.key) > 0)
      rows.push_back(&row);
  return rows;
}

/// Which images each model gets right under one corruption: [model].
std::vector<std::string> under(const ImageSubjects& models, const Chosen& chosen, const Corruption& row, int severity,
                               uint64_t seed, const ImageSubjects::Done& done) {
  const auto change = [&](size_t i, const Image& image) {
    return corrupt(image, row, severity,
                   corruption_seed(seed, static_cast<int64_t>(chosen.indices[i]), row.key, severity), through_jpeg);
  };
  std::vector<std::string> correct;
  for (const std::vector<float>& logits : models.logits(chosen.paths, change, done))
    correct.push_back(correctness(logits, chosen.labels));
  return correct;
}

/// Counts images over all parts that are still to be measured, so that the time left is that of all.
class Remaining {
 public:
  Remaining(ProgressSink* sink, int64_t images) : sink_(sink), shared_(sink), any_(images > 0) {
    if (sink_ != nullptr && any_) sink_->begin("corruptions", images, "images");
  }
  ImageSubjects::Done done() {
    return [this] { shared_.add(1); };
  }
  void end() {
    if (sink_ != nullptr && any_) sink_->end();
  }

 private:
  ProgressSink* sink_;
  SharedProgress shared_;
  bool any_;
};

std::string control_key(const std::string& name, int seed) { return fmt::format("control {} seed {}", name, seed); }

class CorruptionSuite {
 public:
  explicit CorruptionSuite(const ImageReliability& of)
      : of_(of), options_(of.request.options), chosen_(chosen_images(of)), rows_(wanted_corruptions(options_)) {}

  ReliabilityDimension run() {
    find_controls();
    Remaining remaining(of_.progress, remaining_images());
    for (const Corruption* row : rows_) measure(*row, remaining.done());
    for (const size_t m : controlled_) measure_controls(m, remaining.done());
    remaining.end();
    return dimension();
  }

 private:
  int severity_of_control() const { return std::min(kControlSeverity, options_.severities); }

  void find_controls() {
    if (options_.control_seeds == 0) return;
    for (size_t m = 1; m < of_.subjects.size(); ++m)
      if (same_tensors(*of_.subjects[0].model, *of_.subjects[m].model)) controlled_.push_back(m);
  }

  int64_t remaining_images() const {
    int64_t runs = 0;
    for (const Corruption* row : rows_)
      if (!of_.parts.has("corruption " + std::string(row->key))) runs += options_.severities;
    for (const size_t m : controlled_)
      for (int seed = 1; seed <= options_.control_seeds; ++seed)
        if (!of_.parts.has(control_key(of_.models.names()[m], seed))) runs += static_cast<int64_t>(rows_.size());
    return runs * static_cast<int64_t>(chosen_.paths.size());
  }

  void measure(const Corruption& row, const ImageSubjects::Done& done) {
    const Json part = of_.parts.get("corruption " + std::string(row.key), [&] {
      Json by_severity = Json::array();
      for (int severity = 1; severity <= options_.severities; ++severity)
        by_severity.push_back(under(of_.models, chosen_, row, severity, options_.seed, done));
      return by_severity;
    });
    correct_[std::string(row.key)] = part.get<std::vector<std::vector<std::string>>>();
  }

  /// One noisy model at a time: [seed][corruption].
  void measure_controls(size_t m, const ImageSubjects::Done& done) {
    for (int seed = 1; seed <= options_.control_seeds; ++seed) {
      const Json part = of_.parts.get(control_key(of_.models.names()[m], seed), [&] {
        const Model noisy = with_matched_noise(*of_.subjects[0].model, *of_.subjects[m].model,
                                               options_.seed + static_cast<uint64_t>(seed));
        const ImageSubjects alone({{"control", &noisy}}, of_.images.classes, of_.request.classify);
        Json by_corruption = Json::array();
        for (const Corruption* row : rows_)
          by_corruption.push_back(under(alone, chosen_, *row, severity_of_control(), options_.seed, done)[0]);
        return by_corruption;
      });
      for (const Json& correct : part) controls_[m].push_back(correct.get<std::string>());
    }
  }

  ReliabilityRow row_of(const PairedBootstrap& bootstrap, const std::string& key, const std::string& name,
                        const std::vector<std::vector<double>>& values, const std::string& condition = "",
                        double level = std::numeric_limits<double>::quiet_NaN()) const {
    ReliabilityRow row{key, name, "share", Worse::kLower, condition, level};
    row.models = bootstrap.compare_means(values);
    return row;
  }

  ReliabilityDimension dimension() const {
    ReliabilityDimension dimension{"corruptions", "Corruptions"};
    const Image first = of_.models.shaped(chosen_.paths.front());
    const bool small = std::max(first.width, first.height) <= kLargestSmallSide;
    dimension.notes = {fmt::format("{} images of {} x {}, constants of {}", chosen_.paths.size(), first.width,
                                   first.height, small ? "CIFAR-10-C" : "ImageNet-C")};
    const PairedBootstrap bootstrap({chosen_.paths.size()}, options_, of_.clusters(chosen_.indices));
    const size_t models = of_.models.count();
    std::vector<std::vector<std::string>> everything(models);
    std::vector<ReliabilityRow> curves;
    for (const Corruption* row : rows_) {
      const auto& by_severity = correct_.at(std::string(row->key));
      std::vector<std::vector<std::string>> of_row(models);
      for (size_t s = 0; s < by_severity.size(); ++s) {
        std::vector<std::vector<double>> values;
        for (size_t m = 0; m < models; ++m) {
          values.push_back(as_numbers(by_severity[s][m]));
          of_row[m].push_back(by_severity[s][m]);
          everything[m].push_back(by_severity[s][m]);
        }
        curves.push_back(row_of(bootstrap, "accuracy", std::string(row->name), values, std::string(row->key),
                                static_cast<double>(s + 1)));
        curves.back().detail = true;
      }
      dimension.rows.push_back(
          row_of(bootstrap, "accuracy", std::string(row->name), means(of_row), std::string(row->key)));
    }
    dimension.rows.insert(dimension.rows.begin(),
                          row_of(bootstrap, "corruption_accuracy", "accuracy over all corruptions", means(everything)));
    dimension.summary = verdicts_of(dimension.rows.front(), of_.models.names(), "robustness to corruptions");
    add_clean(dimension, bootstrap, means(everything));
    if (!controlled_.empty()) add_controls(dimension, bootstrap);
    dimension.rows.insert(dimension.rows.end(), curves.begin(), curves.end());
    return dimension;
  }

  static std::vector<std::vector<double>> means(const std::vector<std::vector<std::string>>& by_model) {
    std::vector<std::vector<double>> values;
    for (const auto& several : by_model) values.push_back(mean_of(several));
    return values;
  }

  /// Share of the clean accuracy that corruptions leave: what of a change is not one of accuracy anyway.
  void add_clean(ReliabilityDimension& dimension, const PairedBootstrap& bootstrap,
                 const std::vector<std::vector<double>>& corrupted) const {
    const std::vector<std::vector<float>> logits = of_.clean_logits();
    const std::vector<int32_t> labels = of_.labels();
    std::vector<std::vector<double>> clean;
    for (const std::vector<float>& own : logits) {
      const std::vector<double> all = as_numbers(correctness(own, labels));
      std::vector<double>& some = clean.emplace_back();
      for (const size_t i : chosen_.indices) some.push_back(all[i]);
    }
    std::vector<WeightedFigures> kept;
    for (size_t m = 0; m < clean.size(); ++m)
      kept.push_back([&clean, &corrupted, m](std::span<const double> weights, std::span<double> out) {
        double right = 0, left = 0;
        for (size_t i = 0; i < weights.size(); ++i)
          right += weights[i] * clean[m][i], left += weights[i] * corrupted[m][i];
        out[0] = left / right;
      });
    ReliabilityRow row{"accuracy_kept", "share of the clean accuracy that is kept", "share", Worse::kLower};
    for (const auto& model : bootstrap.compare(kept, 1)) row.models.push_back(model.front());
    dimension.rows.insert(dimension.rows.begin() + 1, std::move(row));
    dimension.rows.insert(dimension.rows.begin() + 1, row_of(bootstrap, "clean_accuracy", "accuracy without", clean));
  }

  void add_controls(ReliabilityDimension& dimension, const PairedBootstrap& bootstrap) const {
    const std::string level = fmt::format("severity {}", severity_of_control());
    dimension.notes.push_back(
        fmt::format("control: the original with Gaussian noise on its weights, of the quantizer's power per matrix, {} "
                    "seeds, at {} of every corruption",
                    options_.control_seeds, level));
    const auto at_level = [&](size_t m) {
      std::vector<std::string> several;
      for (const auto& [key, by_severity] : correct_)
        several.push_back(by_severity[static_cast<size_t>(severity_of_control() - 1)][m]);
      return mean_of(several);
    };
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    const ComparedValue none{kNone, {-INFINITY, INFINITY}, kNone, {-INFINITY, INFINITY}};
    ReliabilityRow control{"control_accuracy", "accuracy of the control", "share", Worse::kLower, level};
    ReliabilityRow beyond{"accuracy_beyond_control", "accuracy above that of the control", "share", Worse::kLower,
                          level};
    control.models.assign(of_.models.count(), none);
    beyond.models.assign(of_.models.count(), none);
    for (const auto& [m, correct] : controls_) {
      const std::vector<ComparedValue> found = bootstrap.compare_means({at_level(0), mean_of(correct), at_level(m)});
      control.models[0] = found[0];
      control.models[m] = found[1];
      const std::vector<ComparedValue> over = bootstrap.compare_means({mean_of(correct), at_level(m)});
      beyond.models[m] = {over[1].change, over[1].change_interval, over[1].change, over[1].change_interval};
    }
    dimension.rows.insert(dimension.rows.begin() + 3, {std::move(control), std::move(beyond)});
  }

  const ImageReliability& of_;
  const ReliabilityOptions& options_;
  Chosen chosen_;
  std::vector<const Corruption*> rows_;
  std::vector<size_t> controlled_;
  std::map<std::string, std::vector<std::vector<std::string>>> correct_;  // [corruption][severity][model]
  std::map<size_t, std::vector<std::string>> controls_;                   // [model][seed and corruption]
};

}  // namespace

ReliabilityDimension measure_corruptions(const ImageReliability& of) { return CorruptionSuite(of).run(); }

}  // namespace vernier
