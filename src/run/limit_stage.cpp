// limit.json: how far the files of a run are from the best that any code could be.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "run/run_stages.h"
#include "vernier/planning.h"
#include "vernier/screen.h"

namespace vernier {

namespace {

/// The least KL between a little below the smallest and a little above the largest file. Of a file, what is no matrix
/// stays as it is.
Json curve(const Limit& limit, const std::vector<double>& sizes, double other_bytes) {
  constexpr int kPoints = 48;
  const double first = 0.85 * *std::min_element(sizes.begin(), sizes.end());
  const double last = 1.15 * *std::max_element(sizes.begin(), sizes.end());
  Json points = Json::array();
  for (int i = 0; i < kPoints; ++i) {
    const double bytes = std::round(first * std::pow(last / first, i / (kPoints - 1.0)));
    if (bytes <= other_bytes) continue;
    points.push_back({{"bytes", bytes}, {"kl_nats", limit_kl(limit, bytes - other_bytes)}});
  }
  return points;
}

int64_t screened_tokens(const RunInputs& inputs) {
  int64_t tokens = 0;
  for (const ScreenText& text : inputs.screened)
    for (const TokenWindow& window : text.data.windows) tokens += static_cast<int64_t>(window.tokens.size());
  return tokens;
}

}  // namespace

bool makes_limit(const Model& model, const RunOptions& options, const RunInputs& inputs) {
  constexpr double kCheapSeconds = 60;
  if (inputs.images) return false;
  if (options.effort == Effort::kExact || options.limit) return options.effort != Effort::kExact;
  return limit_core_seconds(model) <= kCheapSeconds && screened_tokens(inputs) >= tokens_for_limit(model);
}

void warn_of_limit(const RunContext& run) {
  if (!run.options.limit) return;
  if (run.options.effort == Effort::kExact)
    return run.progress.warn(
        "a limit is made of the screen, which --effort exact does not make; `vernier screen --limit` does");
  if (run.inputs.images) return run.progress.warn("no limit is made of a model that sees images");
  if (const int64_t tokens = screened_tokens(run.inputs), wanted = tokens_for_limit(run.model); tokens < wanted)
    run.progress.warn(fmt::format("the limit is of {} tokens, which makes it too low; --screen-windows for at least {}",
                                  tokens, wanted));
}

std::optional<Limit> load_limit(const RunContext& run) {
  if (!makes_limit(run.model, run.options, run.inputs)) return std::nullopt;
  return screen_from_json(read_json(run.directory.path("screen.json")), "screen.json").limit;
}

std::map<std::string, LimitShares> limit_stage(const RunContext& run, const std::vector<RunCandidate>& candidates,
                                               const std::vector<EvaluationRow>& rows) {
  std::map<std::string, LimitShares> shares;
  const std::optional<Limit> limit = load_limit(run);
  if (!limit || candidates.empty()) return shares;
  Json of_rows = Json::array();
  std::vector<double> sizes{static_cast<double>(run.inputs.budget_bytes)};
  double other_bytes = 0;  // of the plan, which comes last: headers name schemes, so that they differ a little
  for (size_t i = 0; i < candidates.size(); ++i) {
    const EvaluationRow& row = rows[i + 1];  // after the source's
    const Plan plan = load_plan(run.directory, candidates[i].plan);
    const LimitShares& own = shares[row.label] = limit_shares(*limit, plan, row.text.kl().mean);
    of_rows.push_back({{"label", row.label}});
    of_rows.back().update(limit_shares_to_json(own));
    sizes.push_back(static_cast<double>(row.bytes));
    other_bytes = static_cast<double>(row.bytes) - static_cast<double>(plan.tensor_bytes);
  }
  run.stage("evaluate", "limit", stage_key({run.directory.hash("screen.json"), run.directory.hash("evaluation.json")}),
            "limit.json", [&](const std::filesystem::path& path) {
              write_json(path, {{"kind", "limit"},
                                {"schema_version", 1},
                                {"rows", of_rows},
                                {"curve", curve(*limit, sizes, other_bytes)}});
            });
  return shares;
}

}  // namespace vernier
