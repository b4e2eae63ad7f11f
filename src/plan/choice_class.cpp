#include "plan/choice_class.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/fail.h"

namespace vernier::internal {
namespace {

constexpr uint64_t kMaxCandidateBytes = uint64_t{1} << 60;
constexpr double kMaxDamage = 1e12;  // sums of these stay far from overflow

void check(const KnapsackProblem& problem) {
  for (const PlanItem& item : problem.items) {
    if (item.candidates.empty()) fail(ErrorKind::kInvalidArgument, "plan: {}: no candidate scheme", item.tensor);
    for (size_t i = 0; i < item.candidates.size(); ++i) {
      const Candidate& candidate = item.candidates[i];
      if (!(candidate.damage >= 0 && candidate.damage <= kMaxDamage))
        fail(ErrorKind::kInvalidArgument, "plan: {}: {}: expected a damage in [0, 1e12] nats, got {}", item.tensor,
             candidate.scheme, candidate.damage);
      if (candidate.bytes > kMaxCandidateBytes)
        fail(ErrorKind::kInvalidArgument, "plan: {}: {}: expected at most 2^60 bytes, got {}", item.tensor,
             candidate.scheme, candidate.bytes);
      for (size_t j = 0; j < i; ++j)
        if (item.candidates[j].scheme == candidate.scheme)
          fail(ErrorKind::kInvalidArgument, "plan: {}: scheme {} is listed twice", item.tensor, candidate.scheme);
    }
  }
  for (const auto& group : problem.tied)
    for (const size_t item : group)
      if (item >= problem.items.size())
        fail(ErrorKind::kInvalidArgument, "plan: tied item {} of {}: no such item", item, problem.items.size());
}

/// Per item the lowest item it is tied to, itself when alone.
std::vector<size_t> group_heads(const KnapsackProblem& problem) {
  std::vector<size_t> head(problem.items.size());
  std::iota(head.begin(), head.end(), size_t{0});
  const auto find = [&](size_t item) {
    while (head[item] != item) item = head[item] = head[head[item]];
    return item;
  };
  for (const auto& group : problem.tied)
    for (const size_t item : group) {
      const size_t a = find(item), b = find(group.front());
      head[std::max(a, b)] = std::min(a, b);
    }
  for (size_t item = 0; item < head.size(); ++item) head[item] = find(item);
  return head;
}

const Candidate* find_scheme(const PlanItem& item, const std::string& scheme) {
  const auto it = std::find_if(item.candidates.begin(), item.candidates.end(),
                               [&](const Candidate& c) { return c.scheme == scheme; });
  return it == item.candidates.end() ? nullptr : &*it;
}

void merge_members(const KnapsackProblem& problem, ChoiceClass& merged) {
  const PlanItem& first = problem.items[merged.members.front()];
  for (size_t index = 0; index < first.candidates.size(); ++index) {
    Option option{.candidate = index};
    bool everywhere = true;
    for (const size_t member : merged.members) {
      const Candidate* candidate = find_scheme(problem.items[member], first.candidates[index].scheme);
      everywhere = candidate != nullptr;
      if (!everywhere) break;
      option.bytes = saturating_add(option.bytes, candidate->bytes);
      option.damage += candidate->damage;
    }
    if (everywhere) merged.available.push_back(option);
  }
  if (merged.available.empty())
    fail(ErrorKind::kInvalidArgument, "plan: {} and {} tied tensors have no scheme in common", first.tensor,
         merged.members.size() - 1);
  const auto smaller = [](const Option& a, const Option& b) { return a.bytes < b.bytes; };
  merged.smallest_bytes = std::min_element(merged.available.begin(), merged.available.end(), smaller)->bytes;
  for (Option& option : merged.available) option.bytes -= merged.smallest_bytes;
}

void keep_undominated(ChoiceClass& choice_class) {
  std::vector<Option> sorted = choice_class.available;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Option& a, const Option& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.damage < b.damage;
  });
  for (const Option& option : sorted)
    if (choice_class.options.empty() || option.damage < choice_class.options.back().damage)
      choice_class.options.push_back(option);
}

double slope(const Option& small, const Option& large) {
  return (small.damage - large.damage) / static_cast<double>(large.bytes - small.bytes);
}

}  // namespace

std::vector<ChoiceClass> make_classes(const KnapsackProblem& problem) {
  check(problem);
  const std::vector<size_t> head = group_heads(problem);
  std::vector<ChoiceClass> classes;
  std::vector<size_t> class_of(problem.items.size());
  for (size_t item = 0; item < head.size(); ++item) {
    if (head[item] == item) {
      class_of[item] = classes.size();
      classes.emplace_back();
    }
    classes[class_of[head[item]]].members.push_back(item);
  }
  for (ChoiceClass& choice_class : classes) {
    merge_members(problem, choice_class);
    keep_undominated(choice_class);
  }
  return classes;
}

void restrict_and_hull(std::vector<ChoiceClass>& classes, uint64_t spare_bytes) {
  for (ChoiceClass& choice_class : classes) {
    auto& options = choice_class.options;
    while (options.back().bytes > spare_bytes) options.pop_back();
    auto& hull = choice_class.hull;
    hull.clear();
    for (uint32_t i = 0; i < options.size(); ++i) {
      while (hull.size() >= 2 &&
             slope(options[hull[hull.size() - 2]], options[hull.back()]) <= slope(options[hull.back()], options[i]))
        hull.pop_back();
      hull.push_back(i);
    }
  }
}

PlanItem merged_item(const KnapsackProblem& problem, const ChoiceClass& choice_class) {
  const PlanItem& first = problem.items[choice_class.members.front()];
  PlanItem merged{.tensor = first.tensor, .candidates = {}};
  for (const Option& option : choice_class.available)
    merged.candidates.push_back({first.candidates[option.candidate].scheme,
                                 saturating_add(option.bytes, choice_class.smallest_bytes), option.damage});
  return merged;
}

}  // namespace vernier::internal
