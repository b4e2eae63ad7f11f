#include "vernier/confirm.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "base/fail.h"
#include "diagnose/measure_until.h"
#include "planning/choices.h"
#include "planning/depth_trend.h"
#include "planning/doubt.h"

namespace vernier {

namespace {

using Why = ConfirmedMatrix::Why;
constexpr int64_t kFirstImages = 32;  // an image says as little as a few tokens
constexpr size_t kMatrixBatch = 6;    // matrices on the cut that are measured before the plan is asked again

class Confirming {
 public:
  Confirming(const Model& model, const TokenizerModel& tokenizer, const Calibration& calibration, Sweepable data,
             const DamageTable& table, const ConfirmOptions& options, ProgressSink* progress)
      : model_(model),
        tokenizer_(tokenizer),
        data_(std::move(data)),
        foretold_(table),
        options_(options),
        progress_(progress),
        choices_(choices_of(model, table, options.planning)),
        depths_(model),
        quantized_(model, calibration, diagnose_options(), resolve_threads(options.compute)) {
    for (size_t c = 0; c < choices_.size(); ++c)
      for (const TensorId& id : choices_[c].tensors) choice_of_[id] = c;
    for (const TensorId& id : model.matrices())
      if (choices_[choice_of_.at(id)].offers.size() > 1 && foretold(id) > 0)
        (id.layer < 0 ? outside_ : inside_).push_back(id);
    result_.table = table;
  }

  Confirmation run() {
    plan();  // says at once what cannot be
    std::vector<TensorId> sample = inside_;
    std::shuffle(sample.begin(), sample.end(), std::mt19937_64(options_.seed));
    sample.resize(std::min(sample.size(), static_cast<size_t>(std::max<int64_t>(options_.sample, 0))));
    std::map<TensorId, Why> first;
    for (const TensorId& id : outside_) first[id] = Why::kOutside;
    for (const TensorId& id : sample) first[id] = Why::kSample;
    result_.complete = measure(first);
    while (true) {
      correct();
      if (!result_.complete && measured_inside() < 2) {
        result_.doubt = std::numeric_limits<double>::quiet_NaN();
        break;
      }
      plan();
      const std::vector<std::pair<double, TensorId>> doubts = doubts_by_size();
      result_.doubt = 0;
      for (const auto& [regret, id] : doubts) result_.doubt += regret;
      if (!result_.complete || result_.doubt <= options_.tolerance * predicted_kl_) break;
      std::map<TensorId, Why> dearest;
      for (size_t i = 0; i < std::min(kMatrixBatch, doubts.size()); ++i) dearest[doubts[i].second] = Why::kOnTheCut;
      if (!measure(dearest)) {
        result_.complete = false;
        break;
      }
    }
    return std::move(result_);
  }

 private:
  DiagnoseOptions diagnose_options() const {
    DiagnoseOptions options =
        planning_diagnosis(options_.planning.target, options_.scheme, options_.planning.codebooks);
    options.compute = options_.compute;
    return options;
  }

  /// What the exact measurement of this matrix is compared with; 0 when there is nothing to compare.
  double foretold(const TensorId& id) const {
    const auto& kl = foretold_.kl.at(id);
    const auto at = kl.find(quantized_.scheme_of(id).name());
    return at == kl.end() ? 0 : at->second;
  }

  bool was_measured(const TensorId& id) const {
    return std::any_of(result_.matrices.begin(), result_.matrices.end(),
                       [&](const ConfirmedMatrix& m) { return m.tensor == id; });
  }

  /// Measured over foretold, of one that was not measured that of its depth; so of an expert that no measured token came to.
  double factor_of(const TensorId& id) const {
    for (const ConfirmedMatrix& m : result_.matrices)
      if (m.tensor == id && (m.exact.mean != 0 || m.high > 0)) return m.exact.mean / m.foretold;
    return trend_.factor_at(depth_of(id));
  }

  double depth_of(const TensorId& id) const { return depths_.of(id.stack, id.layer); }

  /// What a choice offers where the factor of some of its matrices is not known.
  std::vector<Offer> offers_of(const Choice& choice, const std::set<TensorId>& unknown) const {
    std::vector<Offer> offers;
    for (const ChoiceOffer& each : choice.offers) {
      Offer& offer = offers.emplace_back(Offer{.bytes = each.bytes});
      for (size_t i = 0; i < choice.tensors.size(); ++i)
        if (unknown.contains(choice.tensors[i]))
          offer.kl += each.kl[i];
        else
          offer.known += each.kl[i] * factor_of(choice.tensors[i]);
    }
    return offers;
  }

  void plan() {
    const Plan plan = plan_within(model_, tokenizer_, result_.table, options_.budget, options_.planning);
    price_ = plan.price_per_byte;
    predicted_kl_ = plan.predicted_kl_nats;
  }

  /// Whether every factor of an interval leads to the same scheme, or the interval is narrow.
  bool settled(const TensorId& id, const ConfidenceInterval& kl) const {
    constexpr double kNarrow = 0.1;  // half of the interval over its middle
    const double middle = (kl.low + kl.high) / 2;
    if (kl.high - middle <= kNarrow * middle) return true;
    if (kl.low <= 0 || price_ <= 0) return false;
    const std::vector<Offer> offers = offers_of(choices_[choice_of_.at(id)], {id});
    return best_offer(offers, kl.low / foretold(id), price_) == best_offer(offers, kl.high / foretold(id), price_);
  }

  /// False when there was no time for it.
  bool measure(const std::map<TensorId, Why>& matrices) {
    if (matrices.empty()) return true;
    std::vector<Component> components;
    std::map<Component, TensorId> tensor_of;
    for (const auto& [id, why] : matrices) {
      components.push_back(component_of(id));
      tensor_of[components.back()] = id;
    }
    MeasureUntilOptions measuring{.compute = options_.compute};
    if (!model_.config().is_language_model()) measuring.first_windows = kFirstImages;
    if (options_.may_go_on) {
      const double whole = static_cast<double>(model_.matrices().size() * data_.windows.clusters.size());
      measuring.may_go_on = [&, whole](int64_t work) { return options_.may_go_on(static_cast<double>(work) / whole); };
    }
    // What the sample says of all others must be narrow; what is on the cut only has to be on one side of it.
    constexpr double kSampleWidth = 0.2;
    const SequentialResult found = measure_until(
        model_, quantized_, data_, components, measuring,
        [&](const Component& c, const ConfidenceInterval& kl) {
          const TensorId& id = tensor_of.at(c);
          if (matrices.at(id) != Why::kOnTheCut) return kl.high - kl.low <= kSampleWidth * (kl.high + kl.low);
          return settled(id, kl);
        },
        progress_);
    result_.control_kl = std::max(result_.control_kl, found.control_kl);
    bool all = true;
    for (const SequentialDamage& one : found.components) {
      const TensorId& id = tensor_of.at(one.damage.component);
      all &= one.windows > 0;
      if (one.windows > 0)
        result_.matrices.push_back({id, matrices.at(id), quantized_.scheme_of(id).name(), foretold(id), one.damage.kl,
                                    one.damage.delta_nll, one.damage.same_top, one.windows, one.kl.low, one.kl.high});
    }
    return all;
  }

  int64_t measured_inside() const {
    return std::count_if(result_.matrices.begin(), result_.matrices.end(),
                         [](const ConfirmedMatrix& m) { return m.tensor.layer >= 0; });
  }

  /// The table by what is known now: measured matrices by their own factor, the others by the sample's.
  void correct() {
    std::vector<std::pair<double, double>> ratios;
    for (const ConfirmedMatrix& m : result_.matrices)
      if (m.tensor.layer >= 0 && m.exact.mean > 0)
        ratios.emplace_back(depth_of(m.tensor), std::log(m.exact.mean / m.foretold));
    if (!ratios.empty()) {
      trend_ = fit_depth_trend(ratios);
      result_.factor = trend_.factor_at(0);
      result_.factor_slope = trend_.log_slope;
      result_.factor_spread = trend_.log_spread;
    }
    correct(foretold_.kl, result_.table.kl);
    // Of groups by the same factors: what was measured is all of them together.
    for (size_t g = 0; g < foretold_.groups.size(); ++g) correct(foretold_.groups[g].kl, result_.table.groups[g].kl);
  }

  void correct(const std::map<TensorId, std::map<std::string, double>>& foretold,
               std::map<TensorId, std::map<std::string, double>>& corrected) const {
    corrected = foretold;
    for (auto& [id, kl] : corrected)
      for (auto& [scheme, value] : kl) value *= trend_.factor_at(depth_of(id));
    for (const ConfirmedMatrix& m : result_.matrices)
      for (auto& [scheme, value] : corrected.at(m.tensor))
        value = foretold.at(m.tensor).at(scheme) * factor_of(m.tensor);
  }

  /// What not knowing the matrices of a choice that were not measured costs on average, the most first, with the one of
  /// them that is foretold to hurt most; nothing where it costs nothing.
  std::vector<std::pair<double, TensorId>> doubts_by_size() const {
    std::map<size_t, std::set<TensorId>> unknown;
    for (const TensorId& id : inside_)
      if (!was_measured(id)) unknown[choice_of_.at(id)].insert(id);
    std::vector<std::pair<double, TensorId>> doubts;
    for (const auto& [choice, ids] : unknown) {
      std::vector<double> parts;
      for (const TensorId& id : ids) parts.push_back(foretold(id));
      const double regret = expected_regret(offers_of(choices_[choice], ids),
                                            belief_of_sum(trend_.belief_at(depth_of(*ids.begin())), parts), price_);
      const auto dearest = std::next(ids.begin(), std::ranges::max_element(parts) - parts.begin());
      if (regret > 0) doubts.emplace_back(regret, *dearest);
    }
    std::sort(doubts.begin(), doubts.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    return doubts;
  }

  const Model& model_;
  const TokenizerModel& tokenizer_;
  const Sweepable data_;
  const DamageTable& foretold_;
  const ConfirmOptions& options_;
  ProgressSink* progress_;
  const std::vector<Choice> choices_;
  const Depths depths_;
  std::map<TensorId, size_t> choice_of_;
  QuantizedWeights quantized_;
  std::vector<TensorId> outside_, inside_;
  double price_ = 0, predicted_kl_ = 0;
  DepthTrend trend_;
  Confirmation result_;
};

}  // namespace

Confirmation confirm(const Model& model, const TokenizerModel& tokenizer, const Calibration& calibration,
                     const EvaluationData& data, const DamageTable& table, const ConfirmOptions& options,
                     ProgressSink* progress) {
  check_calibration(calibration, model);
  return Confirming(model, tokenizer, calibration, sweepable(model, data), table, options, progress).run();
}

Confirmation confirm(const Model& model, const Calibration& calibration, const AnswerData& data,
                     const DamageTable& table, const ConfirmOptions& options, ProgressSink* progress) {
  check_calibration(calibration, model);
  return Confirming(model, {}, calibration, sweepable(model, data), table, options, progress).run();
}

}  // namespace vernier
