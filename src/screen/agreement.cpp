#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "base/counter_random.h"
#include "base/fail.h"
#include "base/json.h"
#include "base/statistics.h"
#include "screen/rank_agreement.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

constexpr int kResamples = 300;
constexpr int64_t kTop = 10;

/// A set of components that are compared with each other.
struct Family {
  std::string name;
  std::function<bool(ComponentKind)> inside;
};

std::vector<Family> families() {
  using Kind = ComponentKind;
  std::vector<Family> all = {
      {"matrices", is_one_matrix},
      {"parts", [](Kind k) { return k == Kind::kHead || k == Kind::kKvHead || k == Kind::kFfn; }}};
  for (const Kind kind : {Kind::kHead, Kind::kKvHead, Kind::kFfn, Kind::kExpert, Kind::kLayer})
    all.push_back({std::string(kind_name(kind)), [kind](Kind k) { return k == kind; }});
  return all;
}

/// Whether a matrix is a part of a component, or holds one.
bool touches(const Component& c, const TensorId& id) {
  using Role = TensorRole;
  if (id.stack != c.stack) return false;
  switch (c.kind) {
    case ComponentKind::kHead: return id.layer == c.layer && (id.role == Role::kAttnQ || id.role == Role::kAttnOutput);
    case ComponentKind::kKvHead: return id.layer == c.layer && (id.role == Role::kAttnK || id.role == Role::kAttnV);
    case ComponentKind::kFfn: return id.layer == c.layer && id.role >= Role::kRouter;
    case ComponentKind::kExpert: return id.layer == c.layer && id.expert == c.index;
    case ComponentKind::kRouter: return id.layer == c.layer && id.role == Role::kRouter;
    case ComponentKind::kLayer: return id.layer == c.layer;
    default: return component_of(id) == c;
  }
}

/// The schemes of a component's matrices: only components with the same ones are ranked against each other. Nothing where
/// the sweep measured a matrix in another scheme than the screen.
std::optional<std::string> schemes_of(const Screen& screen, size_t scheme, const Diagnosis& diagnosis,
                                      const Component& component) {
  std::set<std::string> given;
  for (const ScreenedMatrix& matrix : screen.matrices) {
    if (!touches(component, matrix.tensor)) continue;
    for (const WeightFacts& facts : diagnosis.weight_facts)
      if (facts.tensor == matrix.tensor && facts.scheme != matrix.errors[scheme].scheme) return std::nullopt;
    given.insert(matrix.errors[scheme].scheme);
  }
  std::string text;
  for (const std::string& each : given) text += each + " ";
  return text;
}

/// Resampled with replacement within each group, so that groups keep their sizes.
Interval with_interval(const std::vector<RankGroup>& groups, const std::function<double(const RankGroup&)>& figure) {
  const auto mean = [&](const std::vector<RankGroup>& all) {
    double sum = 0, count = 0;
    for (const RankGroup& group : all) {
      const auto n = static_cast<double>(group.estimate.size());
      sum += n * figure(group);
      count += n;
    }
    return count > 0 ? sum / count : std::nan("");
  };
  Interval interval{mean(groups), std::nan(""), std::nan("")};
  std::vector<double> resampled;
  for (int b = 0; b < kResamples; ++b) {
    std::vector<RankGroup> own(groups.size());
    for (size_t g = 0; g < groups.size(); ++g)
      for (size_t i = 0; i < groups[g].estimate.size(); ++i) {
        const auto pick = static_cast<size_t>(uniform_at(static_cast<uint64_t>(b), g, i) *
                                              static_cast<double>(groups[g].estimate.size()));
        own[g].estimate.push_back(groups[g].estimate[pick]);
        own[g].exact.push_back(groups[g].exact[pick]);
      }
    if (const double value = mean(own); std::isfinite(value)) resampled.push_back(value);
  }
  if (resampled.size() < kResamples / 2) return interval;
  std::sort(resampled.begin(), resampled.end());
  const auto at = [&](double q) {
    return resampled[static_cast<size_t>(std::lround(q * static_cast<double>(resampled.size() - 1)))];
  };
  interval.low = at(0.025);
  interval.high = at(0.975);
  return interval;
}

}  // namespace

void check_comparable(const std::string& model_hash, const std::vector<std::string>& schemes,
                      const Diagnosis& diagnosis) {
  if (model_hash != diagnosis.model_hash)
    fail(ErrorKind::kInvalidArgument, "screen of model {}, diagnosis of {}: compare those of one model", model_hash,
         diagnosis.model_hash);
  if (std::find(schemes.begin(), schemes.end(), diagnosis.scheme) == schemes.end())
    fail(ErrorKind::kInvalidArgument, "screen: the diagnosis is of {}, which is not screened; add it to --schemes",
         diagnosis.scheme);
}

std::vector<EstimatorAgreement> compare_estimators(const Screen& screen, const Diagnosis& diagnosis, int domain) {
  check_comparable(screen.model_hash, screen.schemes, diagnosis);
  const auto scheme = static_cast<size_t>(std::find(screen.schemes.begin(), screen.schemes.end(), diagnosis.scheme) -
                                          screen.schemes.begin());
  if (domain >= static_cast<int>(screen.domains.size()))
    fail(ErrorKind::kInvalidArgument, "screen: no domain {}; there are {}", domain, screen.domains.size());

  std::map<Component, std::optional<std::string>> group_of;
  for (const Component& component : screen.components)
    group_of[component] = schemes_of(screen, scheme, diagnosis, component);
  std::vector<EstimatorAgreement> all;
  for (size_t d = 0; d < screen.domains.size(); ++d) {
    if (domain >= 0 && static_cast<size_t>(domain) != d) continue;
    for (const Family& family : families())
      for (size_t e = 0; e < screen.estimators.size(); ++e) {
        const Estimator& estimator = *find_estimator(screen.estimators[e]);
        std::map<std::string, RankGroup> groups;
        double estimated = 0, exact = 0;
        for (size_t c = 0; c < screen.components.size(); ++c) {
          const Component& component = screen.components[c];
          const ComponentDamage* damage = diagnosis.find(component);
          const Measured& value = screen.values[screen.value_index(e, d, scheme, c)];
          if (!family.inside(component.kind) || damage == nullptr || !std::isfinite(value.mean)) continue;
          const std::optional<std::string>& group = group_of.at(component);
          if (!group) continue;
          groups[*group].estimate.push_back(estimator.falls ? -value.mean : value.mean);
          groups[*group].exact.push_back(damage->kl.mean);
          estimated += value.mean;
          exact += damage->kl.mean;
        }
        EstimatorAgreement own;
        own.estimator = screen.estimators[e];
        own.domain = screen.domains[d].name;
        own.components = family.name;
        std::vector<RankGroup> ranked;
        for (const auto& [name, group] : groups)
          if (group.estimate.size() > 2) ranked.push_back(group);
        for (const RankGroup& group : ranked) {
          own.count += static_cast<int64_t>(group.estimate.size());
          own.top += top_count(group, kTop);
        }
        if (ranked.empty()) continue;
        own.spearman = with_interval(ranked, [](const RankGroup& g) { return spearman(g.estimate, g.exact); });
        own.kendall = with_interval(ranked, [](const RankGroup& g) { return kendall(g.estimate, g.exact); });
        own.top_overlap = with_interval(ranked, [](const RankGroup& g) { return top_overlap(g, top_count(g, kTop)); });
        own.ratio_of_totals = estimator.predicts_nats && exact > 0 ? estimated / exact : std::nan("");
        all.push_back(std::move(own));
      }
  }
  return all;
}

Json agreements_to_json(const std::vector<EstimatorAgreement>& agreements) {
  const auto interval = [](const Interval& i) {
    return Json{{"value", finite_or_null(i.value)}, {"low", finite_or_null(i.low)}, {"high", finite_or_null(i.high)}};
  };
  Json rows = Json::array();
  for (const EstimatorAgreement& a : agreements)
    rows.push_back({{"estimator", a.estimator},
                    {"domain", a.domain},
                    {"components", a.components},
                    {"count", a.count},
                    {"spearman", interval(a.spearman)},
                    {"kendall", interval(a.kendall)},
                    {"top", a.top},
                    {"top_overlap", interval(a.top_overlap)},
                    {"ratio_of_totals", finite_or_null(a.ratio_of_totals)}});
  return rows;
}

}  // namespace vernier
