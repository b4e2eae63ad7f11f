#include <algorithm>
#include <cmath>

#include "base/fail.h"
#include "plan/choice_class.h"
#include "plan/numbers.h"
#include "vernier/plan.h"

namespace vernier {
namespace {

/// "gguf:q4_k" is "q4_k" to readers of a recipe that names the scheme in full beside the sentence.
std::string_view short_name(const Candidate& candidate) {
  const std::string_view name = candidate.scheme;
  return name.substr(0, 5) == "gguf:" ? name.substr(5) : name;
}

/// Two significant digits; plain decimals while they stay short.
std::string nats(double value) {
  if (value == 0 || value >= 1e5 || value < 1e-6) return fmt::format("{:.2g}", value);
  const int digits = std::max(0, 1 - static_cast<int>(std::floor(std::log10(value))));
  return fmt::format("{:.{}f}", value, digits);
}

struct SchemeStep {
  const Candidate* to = nullptr;
  double damage = 0;   ///< difference, positive
  uint64_t bytes = 0;  ///< difference, positive
  double rate() const { return damage / static_cast<double>(bytes); }
};

/// The step down that gives up least damage per byte.
SchemeStep step_down(const PlanItem& item, const Candidate& chosen) {
  SchemeStep best;
  for (const Candidate& c : item.candidates) {
    if (c.bytes >= chosen.bytes || c.damage <= chosen.damage) continue;
    const SchemeStep step{&c, c.damage - chosen.damage, chosen.bytes - c.bytes};
    if (best.to == nullptr || step.rate() < best.rate()) best = step;
  }
  return best;
}

/// The step up that saves most damage per byte.
SchemeStep step_up(const PlanItem& item, const Candidate& chosen) {
  SchemeStep best;
  for (const Candidate& c : item.candidates) {
    if (c.bytes <= chosen.bytes || c.damage >= chosen.damage) continue;
    const SchemeStep step{&c, chosen.damage - c.damage, c.bytes - chosen.bytes};
    if (best.to == nullptr || step.rate() > best.rate()) best = step;
  }
  return best;
}

bool are_neighbours(const PlanItem& item, const Candidate& small, const Candidate& large) {
  return std::none_of(item.candidates.begin(), item.candidates.end(),
                      [&](const Candidate& c) { return c.bytes > small.bytes && c.bytes < large.bytes; });
}

std::string price_clause(const SchemeStep& step, double price) {
  return fmt::format(" ({:.2g} per byte); the budget's price is {:.2g}", step.rate(), price);
}

}  // namespace

std::string explain_choice(const PlanItem& item, size_t choice, double price_per_byte) {
  if (choice >= item.candidates.size())
    fail(ErrorKind::kInvalidArgument, "plan: {}: choice {} of {} candidates", item.tensor, choice,
         item.candidates.size());
  const Candidate& chosen = item.candidates[choice];
  const std::string_view name = short_name(chosen);
  if (item.candidates.size() == 1) return fmt::format("{}: the only scheme that fits this tensor and target", name);
  const SchemeStep down = step_down(item, chosen), up = step_up(item, chosen);
  if (price_per_byte <= 0) {
    if (up.to == nullptr) return fmt::format("{}: the least damage of all candidates; the budget has room", name);
    return fmt::format("{}: {} would save {} nats for {} bytes", name, short_name(*up.to), nats(up.damage),
                       with_commas(up.bytes));
  }
  if (down.to != nullptr) {
    const std::string step = fmt::format("{}: {}up from {} saves {} nats for {} bytes", name,
                                         are_neighbours(item, *down.to, chosen) ? "one step " : "",
                                         short_name(*down.to), nats(down.damage), with_commas(down.bytes));
    if (down.rate() >= price_per_byte) return step + price_clause(down, price_per_byte);
    return fmt::format("{}, less than the budget's price of {:.2g} per byte, but the bytes were left over", step,
                       price_per_byte);
  }
  if (up.to == nullptr) return fmt::format("stays at {}: no larger candidate has less damage", name);
  if (up.rate() <= price_per_byte)
    return fmt::format("stays at {}: {} would save only {} nats for {} bytes", name, short_name(*up.to),
                       nats(up.damage), with_commas(up.bytes)) +
           price_clause(up, price_per_byte);
  return fmt::format("stays at {}: {} would save {} nats, but its {} bytes do more for other tensors", name,
                     short_name(*up.to), nats(up.damage), with_commas(up.bytes));
}

std::vector<std::string> explain_solution(const KnapsackProblem& problem, const KnapsackSolution& solution) {
  if (!solution.feasible || solution.choice.size() != problem.items.size())
    fail(ErrorKind::kInvalidArgument, "plan: expected a choice for {} items, got {}", problem.items.size(),
         solution.choice.size());
  std::vector<std::string> reasons(problem.items.size());
  for (const internal::ChoiceClass& choice_class : internal::make_classes(problem)) {
    const size_t first = choice_class.members.front();
    if (choice_class.members.size() == 1) {
      reasons[first] = explain_choice(problem.items[first], solution.choice[first], solution.price_per_byte);
      continue;
    }
    const auto& available = choice_class.available;
    const auto chosen = std::find_if(available.begin(), available.end(),
                                     [&](const internal::Option& o) { return o.candidate == solution.choice[first]; });
    const size_t index = static_cast<size_t>(chosen - available.begin());
    const std::string reason =
        explain_choice(internal::merged_item(problem, choice_class), index, solution.price_per_byte);
    const std::string suffix = fmt::format(" (all {} that must be alike together)", choice_class.members.size());
    for (const size_t member : choice_class.members) reasons[member] = reason + suffix;
  }
  return reasons;
}

}  // namespace vernier
