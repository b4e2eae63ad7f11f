#include "vernier/refine.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>

#include "base/fail.h"
#include "planning/choices.h"
#include "vernier/evaluate.h"
#include "vernier/quantize.h"

namespace vernier {

namespace {

constexpr size_t kExchangesAtOnce = 4;  // in one pass with the reference

/// Every other window, beginning with `first`.
EvaluationData every_other(const EvaluationData& data, size_t first) {
  EvaluationData half = data;
  half.windows.clear();
  for (size_t i = first; i < data.windows.size(); i += 2) half.windows.push_back(data.windows[i]);
  return half;
}

/// An exchange with what the plan would lose by it according to the table, at its own price of bytes.
struct Offered {
  MeasuredExchange exchange;
  double margin = 0;  ///< that loss over the damage it moves: the smaller, the nearer to being made
};

class Refining {
 public:
  Refining(const Model& model, const TokenizerModel& tokenizer, const Calibration& calibration,
           const EvaluationData& data, const DamageTable& table, const RefineOptions& options, ProgressSink* progress)
      : model_(model),
        tokenizer_(tokenizer),
        calibration_(calibration),
        measuring_(every_other(data, 0)),
        judging_(every_other(data, 1)),
        options_(options),
        progress_(progress),
        threads_(resolve_threads(options.compute)) {
    if (data.windows.size() < 2)
      fail(ErrorKind::kInvalidArgument, "refine: {} window of {}, expected at least two", data.windows.size(),
           data.name);
    result_.table = table;
  }

  Refinement run() {
    const Plan first = planned(result_.table);
    const Model base = made(first);
    std::vector<Offered> offered = offers_around(first);
    const size_t count = std::min(offered.size(), static_cast<size_t>(std::max<int64_t>(options_.exchanges, 0)));
    offered.resize(count);
    measure(first, base, offered);
    const DamageTable given = result_.table;
    take_in(first, offered);
    const Plan second = planned(result_.table);
    result_.changed = changed_between(first, second);
    std::vector<Model> judged = {base};
    if (result_.changed > 0) judged.push_back(made(second));
    const std::vector<Measured> kl = kl_of(judged, judging_);
    result_.before = kl.front();
    result_.after = kl.back();
    result_.kept = result_.after.mean < result_.before.mean;
    if (!result_.kept) result_.table = given;
    return std::move(result_);
  }

 private:
  Plan planned(const DamageTable& table) const {
    Plan plan = plan_within(model_, tokenizer_, table, options_.budget, options_.planning);
    plan.method = Plan().method;
    return plan;
  }

  Model made(const Plan& plan) const { return quantize(model_, calibration_, plan, threads_).in_memory(nullptr); }

  /// Of every choice the exchange for more bytes and the one for fewer that are nearest to being made.
  std::vector<Offered> offers_around(const Plan& plan) const {
    std::map<std::string, std::string> scheme_of;
    for (const PlanEntry& entry : plan.entries) scheme_of[entry.tensor] = entry.scheme;
    std::vector<Offered> offered;
    for (const Choice& choice : choices_of(model_, result_.table, options_.planning)) {
      const std::string& from = scheme_of.at(name_of(choice.tensors.front()));
      const std::map<std::string, double>& foretold = result_.table.kl.at(choice.tensors.front());
      const auto now = std::ranges::find(choice.offers, from, &ChoiceOffer::scheme);
      if (now == choice.offers.end() || !foretold.contains(from)) continue;  // stays as it is stored
      std::optional<Offered> larger, smaller;
      for (const ChoiceOffer& offer : choice.offers) {
        const double more = offer.bytes - now->bytes;
        double moved = 0;
        for (size_t i = 0; i < offer.kl.size(); ++i) moved += offer.kl[i] - now->kl[i];
        if (!foretold.contains(offer.scheme) || more == 0 || moved == 0) continue;
        const double loss = std::max(0.0, moved + plan.price_per_byte * more);
        std::optional<Offered>& nearest = more > 0 ? larger : smaller;
        if (const double margin = loss / std::abs(moved); !nearest || margin < nearest->margin)
          nearest = Offered{{choice.tensors, from, offer.scheme, moved, 0}, margin};
      }
      for (const std::optional<Offered>& one : {larger, smaller})
        if (one) offered.push_back(*one);
    }
    std::stable_sort(offered.begin(), offered.end(),
                     [](const Offered& a, const Offered& b) { return a.margin < b.margin; });
    return offered;
  }

  std::vector<Measured> kl_of(const std::vector<Model>& models, const EvaluationData& data) const {
    std::vector<const Model*> all;
    for (const Model& each : models) all.push_back(&each);
    std::vector<Measured> kl;
    for (const Evaluation& e : evaluate(all, &model_, data, {options_.compute})) kl.push_back(e.all.kl());
    return kl;
  }

  /// The plan with the matrices of an exchange in the scheme that they would be exchanged for.
  Model exchanged(Plan plan, const Model& base, const MeasuredExchange& exchange) const {
    for (PlanEntry& entry : plan.entries)
      if (is_of(exchange, parse_tensor(entry.tensor))) entry.scheme = exchange.to;
    Model changed = base;
    const QuantizedModel quantized = quantize(model_, calibration_, plan, threads_);
    for (const TensorId& id : exchange.tensors) changed.set_stored(id, quantized.stored(id));
    return changed;
  }

  static bool is_of(const MeasuredExchange& exchange, const TensorId& id) {
    return std::ranges::find(exchange.tensors, id) != exchange.tensors.end();
  }

  void measure(const Plan& plan, const Model& base, std::vector<Offered>& offered) {
    if (progress_ != nullptr) progress_->begin("refine", static_cast<int64_t>(offered.size()), "exchanges");
    const double planned_kl = kl_of({base}, measuring_).front().mean;
    for (size_t first = 0; first < offered.size(); first += kExchangesAtOnce) {
      const size_t end = std::min(offered.size(), first + kExchangesAtOnce);
      std::vector<Model> models;
      for (size_t i = first; i < end; ++i) models.push_back(exchanged(plan, base, offered[i].exchange));
      const std::vector<Measured> kl = kl_of(models, measuring_);
      for (size_t i = first; i < end; ++i) offered[i].exchange.measured = kl[i - first].mean - planned_kl;
      if (progress_ != nullptr) progress_->update(static_cast<int64_t>(end));
    }
    if (progress_ != nullptr) progress_->end();
  }

  /// Differences between the schemes of a matrix by what was measured of it.
  void take_in(const Plan& plan, const std::vector<Offered>& offered) {
    double products = 0, squares = 0;
    for (const Offered& one : offered) {
      products += one.exchange.measured * one.exchange.foretold;
      squares += one.exchange.foretold * one.exchange.foretold;
      result_.exchanges.push_back(one.exchange);
    }
    if (squares > 0 && products > 0) result_.factor = products / squares;
    std::vector<double> residuals;
    for (const MeasuredExchange& e : result_.exchanges)
      residuals.push_back(std::abs(e.measured - result_.factor * e.foretold));
    if (!residuals.empty()) {
      const auto middle = residuals.begin() + static_cast<std::ptrdiff_t>(residuals.size() / 2);
      std::nth_element(residuals.begin(), middle, residuals.end());
      constexpr double kOfNormal = 1.4826;  // standard deviations in a median of absolute values
      noise_ = kOfNormal * *middle;
    }
    for (const PlanEntry& entry : plan.entries) {
      const TensorId id = parse_tensor(entry.tensor);
      rescale(result_.table.kl.at(id), ratio_of(id));
      for (GroupDamageTable& group : result_.table.groups) rescale(group.kl.at(id), ratio_of(id));
    }
  }

  /// Above the best scheme, so that nothing falls below zero whatever the ratio is.
  void rescale(std::map<std::string, double>& kl, double ratio) const {
    if (kl.empty()) return;
    const double least = std::ranges::min_element(kl, {}, [](const auto& each) { return each.second; })->second;
    for (auto& [scheme, value] : kl) value = least * result_.factor + ratio * (value - least);
  }

  /// Measured over foretold of a matrix: by its exchanges, drawn towards that of all the more they may be noise, which
  /// few windows make of small differences (a scheme that seems to cost nothing would be taken at once); by one that
  /// cannot be, as it was measured.
  double ratio_of(const TensorId& id) const {
    constexpr double kSpread = 0.5;  // of ratios about that of all, as a share of it
    constexpr double kNoNoise = 4;   // standard deviations
    const double prior = 1 / (kSpread * kSpread * result_.factor * result_.factor);
    double evidence = result_.factor * prior, weight = prior;
    for (const MeasuredExchange& e : result_.exchanges) {
      if (!is_of(e, id) || noise_ <= 0) continue;
      if (std::abs(e.measured - result_.factor * e.foretold) > kNoNoise * noise_)
        return std::max(0.0, e.measured / e.foretold);
      evidence += e.measured * e.foretold / (noise_ * noise_);
      weight += e.foretold * e.foretold / (noise_ * noise_);
    }
    return std::max(0.0, evidence / weight);
  }

  static int64_t changed_between(const Plan& a, const Plan& b) {
    int64_t changed = 0;
    for (size_t i = 0; i < a.entries.size(); ++i) changed += a.entries[i].scheme != b.entries[i].scheme;
    return changed;
  }

  const Model& model_;
  const TokenizerModel& tokenizer_;
  const Calibration& calibration_;
  const EvaluationData measuring_, judging_;
  const RefineOptions& options_;
  ProgressSink* progress_;
  const int threads_;
  double noise_ = 0;  // of a measured exchange, nats: a standard deviation
  Refinement result_;
};

}  // namespace

Refinement refine(const Model& model, const TokenizerModel& tokenizer, const Calibration& calibration,
                  const EvaluationData& data, const DamageTable& table, const RefineOptions& options,
                  ProgressSink* progress) {
  check_calibration(calibration, model);
  return Refining(model, tokenizer, calibration, data, table, options, progress).run();
}

}  // namespace vernier
