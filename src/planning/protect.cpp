#include "vernier/protect.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/fail.h"
#include "base/statistics.h"
#include "ops/parallel.h"
#include "planning/protected_pieces.h"
#include "scheme/fitting.h"
#include "vernier/quantize_tensor.h"

namespace vernier {

namespace {

constexpr size_t kModelsAtOnce = 4;  // in one pass with the reference

void check_protect_options(const ProtectOptions& options) {
  for (const double share : options.shares)
    if (!(share > 0)) fail(ErrorKind::kInvalidArgument, "protect: a share of {}, expected more than 0", share);
  for (const std::string& unit : options.units)
    if (std::ranges::none_of(protection_rules(), [&](const ProtectionRule& rule) { return rule.unit == unit; }))
      fail(ErrorKind::kInvalidArgument, "protect: unit \"{}\", expected matrix, column, weight or feature", unit);
}

class Protector {
 public:
  Protector(const Model& model, const Calibration& calibration, const Screen& screened, const EvaluationData& text,
            const ProtectOptions& options, ProgressSink* progress)
      : model_(model), calibration_(calibration), text_(text), options_(options), progress_(progress) {
    check_protect_options(options);
    std::ranges::sort(options_.shares);
    if (const std::string hash = model_hash(model); screened.model_hash != hash)
      fail(ErrorKind::kInvalidArgument, "protect: the screen is of another model (hash {}, expected {})",
           screened.model_hash, hash);
    const Scheme scheme = Scheme::parse(options.scheme);
    const auto wanted = std::ranges::find(screened.schemes, scheme.name());
    if (wanted == screened.schemes.end() || wanted != screened.schemes.begin() || screened.channels.empty())
      fail(ErrorKind::kInvalidArgument, "protect: the screen is not of {} with channels; screen with that scheme first",
           scheme.name());
    for (const TensorId& id : model.matrices()) add_matrix(id, scheme, screened);
  }

  Protection run() {
    Protection p;
    p.model_hash = model_hash(model_);
    p.scheme = Scheme::parse(options_.scheme).name();
    p.data_name = text_.name;
    p.tokens = text_.scored_tokens();
    for (const ProtectableMatrix& m : matrices_) p.base_bytes += m.bytes;
    base_bytes_ = p.base_bytes;
    Model base = model_;
    for (const ProtectableMatrix& m : matrices_) base.set_weight(m.id, m.weight + m.error);
    p.base_kl = kl_of({base}).front();
    const int64_t draws = std::max<int64_t>(1, options_.random_draws);
    if (progress_ != nullptr) progress_->begin("protect", static_cast<int64_t>(protection_rules().size()), "rules");
    int64_t done = 0;
    for (const ProtectionRule& rule : protection_rules()) {
      const bool asked = options_.units.empty() || std::ranges::find(options_.units, rule.unit) != options_.units.end();
      std::vector<ProtectionCurve> drawn;
      for (int64_t draw = 0; asked && draw < (rule.chosen_by == "random" ? draws : 1); ++draw)
        if (auto curve = curve_of(rule, static_cast<uint64_t>(draw), p.base_kl.mean); !curve.points.empty())
          drawn.push_back(std::move(curve));
      if (!drawn.empty()) p.curves.push_back(mean_curve(drawn));
      if (progress_ != nullptr) progress_->update(++done);
    }
    if (progress_ != nullptr) progress_->end();
    return p;
  }

 private:
  void add_matrix(const TensorId& id, const Scheme& scheme, const Screen& screened) {
    ProtectableMatrix m;
    m.id = id;
    m.weight = model_.weight(id).detach().to(at::kFloat).contiguous();
    const int64_t rows = m.weight.size(0), cols = m.weight.size(1);
    m.scheme = fitting_scheme(scheme, rows, cols);
    const std::vector<float> importance = calibration_.importance(model_, id);
    m.error =
        quantize_values(m.scheme, m.weight, importance, resolve_threads(options_.compute), name_of(id)) - m.weight;
    if (!importance.empty()) m.mean_square = at::tensor(importance);
    if (id.layer >= 0)
      for (const ChannelScores& scores : screened.channels)
        if (scores.tensor == id) m.channels = &scores;
    m.foretold = screened.at(component_of(id), screened.schemes.front(), "predicted_kl", 0).mean;
    const auto exact = options_.exact.find(id);
    m.exact = exact == options_.exact.end() ? std::numeric_limits<double>::quiet_NaN() : exact->second;
    m.bytes = m.scheme.bytes(rows, cols);
    m.bytes_16bit = Scheme::parse("f16").bytes(rows, cols);
    matrices_.push_back(std::move(m));
  }

  std::vector<Measured> kl_of(const std::vector<Model>& models) const {
    std::vector<Measured> all;
    for (size_t first = 0; first < models.size(); first += kModelsAtOnce) {
      std::vector<const Model*> batch;
      for (size_t i = first; i < std::min(models.size(), first + kModelsAtOnce); ++i) batch.push_back(&models[i]);
      for (const Evaluation& e : evaluate(batch, &model_, text_, {options_.compute})) all.push_back(e.all.kl());
    }
    return all;
  }

  /// Those that fit, in their order, and what they take.
  std::vector<const ProtectedPiece*> pieces_within(const std::vector<ProtectedPiece>& pieces, uint64_t budget,
                                                   uint64_t& bytes) const {
    std::vector<const ProtectedPiece*> taken;
    std::set<std::pair<size_t, int64_t>> rows;  // that hold single weights
    for (const ProtectedPiece& piece : pieces) {
      const ProtectedCells& cell = piece.cells.front();
      const bool single = cell.row >= 0;
      const std::pair<size_t, int64_t> row{cell.matrix, cell.row};
      const uint64_t more = piece.bytes + (single && !rows.contains(row) ? kOutlierRowBytes : 0);
      if (bytes + more > budget) {
        if (single) break;  // the next one in a known row may fit, which is not worth a look at all of them
        continue;
      }
      bytes += more;
      if (single) rows.insert(row);
      taken.push_back(&piece);
    }
    return taken;
  }

  Model protected_model(const std::vector<const ProtectedPiece*>& pieces) const {
    Model changed = model_;
    std::vector<at::Tensor> kept(matrices_.size());  // of single cells, by matrix
    std::vector<bool> whole(matrices_.size());
    for (const ProtectedPiece* piece : pieces)
      for (const ProtectedCells& cells : piece->cells) {
        const at::Tensor& weight = matrices_[cells.matrix].weight;
        whole[cells.matrix] = whole[cells.matrix] || (cells.row < 0 && cells.col < 0);
        if (whole[cells.matrix]) continue;
        at::Tensor& mask = kept[cells.matrix];
        if (!mask.defined()) mask = at::zeros(weight.sizes(), at::kBool);
        if (cells.row < 0)
          mask.select(1, cells.col).fill_(true);
        else
          mask.data_ptr<bool>()[cells.row * weight.size(1) + cells.col] = true;
      }
    const int threads = resolve_threads(options_.compute);
    for (size_t i = 0; i < matrices_.size(); ++i) {
      const ProtectableMatrix& m = matrices_[i];
      const auto in_16_bits = [&] { return m.weight.to(at::kHalf).to(at::kFloat); };
      if (whole[i]) {
        changed.set_weight(m.id, in_16_bits());
      } else if (!kept[i].defined()) {
        changed.set_weight(m.id, m.weight + m.error);
      } else {
        const at::Tensor rest = quantize_values(m.scheme, m.weight.masked_fill(kept[i], 0),
                                                calibration_.importance(model_, m.id), threads, name_of(m.id));
        changed.set_weight(m.id, at::where(kept[i], in_16_bits(), rest));
      }
    }
    return changed;
  }

  ProtectionCurve curve_of(const ProtectionRule& rule, uint64_t draw, double base_kl) const {
    ProtectionCurve curve{rule.unit, rule.chosen_by, {}};
    const auto budget = [&](double share) { return static_cast<uint64_t>(share * static_cast<double>(base_bytes_)); };
    const std::vector<ProtectedPiece> pieces = ordered_pieces(
        model_, matrices_, rule, options_.shares.empty() ? 0 : budget(options_.shares.back()), options_.seed + draw);
    if (pieces.empty()) return curve;
    std::vector<Model> models;
    for (const double share : options_.shares) {
      ProtectionPoint point;
      point.share = share;
      const std::vector<const ProtectedPiece*> taken = pieces_within(pieces, budget(share), point.added_bytes);
      point.pieces = static_cast<int64_t>(taken.size());
      models.push_back(protected_model(taken));
      curve.points.push_back(point);
      if (models.size() < kModelsAtOnce && curve.points.size() < options_.shares.size()) continue;
      const std::vector<Measured> kl = kl_of(models);
      for (size_t i = 0; i < kl.size(); ++i) {
        ProtectionPoint& measured = curve.points[curve.points.size() - kl.size() + i];
        measured.kl = kl[i];
        measured.recovery = base_kl > 0 ? 1 - kl[i].mean / base_kl : 0;
      }
      models.clear();
    }
    return curve;
  }

  /// Of several draws; with a knee.
  ProtectionCurve mean_curve(const std::vector<ProtectionCurve>& drawn) const {
    ProtectionCurve mean = drawn.front();
    for (size_t i = 0; i < mean.points.size(); ++i) {
      std::vector<double> kl, recovery;
      for (const ProtectionCurve& curve : drawn) {
        kl.push_back(curve.points[i].kl.mean);
        recovery.push_back(curve.points[i].recovery);
      }
      if (drawn.size() < 2) continue;
      const std::vector<double> ones(kl.size(), 1);
      mean.points[i].kl = ratio_estimate(kl, ones);
      mean.points[i].recovery = ratio_estimate(recovery, ones).mean;
    }
    if (const size_t knee = knee_of(mean.points); knee > 0) {
      const ProtectionPoint& at = mean.points[knee - 1];
      mean.knee_share = static_cast<double>(at.added_bytes) / static_cast<double>(base_bytes_);
      mean.knee_recovery = at.recovery;
    }
    return mean;
  }

  const Model& model_;
  const Calibration& calibration_;
  const EvaluationData& text_;
  ProtectOptions options_;
  ProgressSink* progress_;
  std::vector<ProtectableMatrix> matrices_;
  uint64_t base_bytes_ = 0;
};

}  // namespace

size_t knee_of(const std::vector<ProtectionPoint>& points) {
  if (points.empty() || !(points.back().recovery > 0) || points.back().added_bytes == 0) return 0;
  size_t knee = 0;
  double farthest = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    const double above = points[i].recovery / points.back().recovery -
                         static_cast<double>(points[i].added_bytes) / static_cast<double>(points.back().added_bytes);
    if (above <= farthest) continue;
    farthest = above;
    knee = i + 1;
  }
  return knee;
}

Protection protect(const Model& model, const Calibration& calibration, const Screen& screened,
                   const EvaluationData& text, const ProtectOptions& options, ProgressSink* progress) {
  return Protector(model, calibration, screened, text, options, progress).run();
}

}  // namespace vernier
