#pragma once

// Which tensor gets how many bits: from a budget and candidates with predicted damage to a Plan that an engine can
// load. In: one PlanItem per tensor (schemes are spelled as in scheme.h). Out: a Plan (plan.json) and a recipe that
// people edit.
//
//   KnapsackProblem problem{items, tied, Budget::parse("+10%").bytes(uniform_bytes, parameters, bytes_16bit)};
//   KnapsackSolution solution = solve_knapsack(problem);
//   if (!solution.feasible) print("the smallest choice has", solution.smallest_bytes);
//   std::vector<std::string> reasons = explain_solution(problem, solution);

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

/// A size that a user asked for. Spellings: "+10%" (over uniform int4), "4.5bpw", "3.8GiB", "16950144" (bytes), "50%"
/// (of the 16-bit file).
struct Budget {
  enum class Kind { kOverUniformInt4, kBitsPerWeight, kBytes, kShareOf16Bit };
  Kind kind = Kind::kOverUniformInt4;
  double value = 0;  ///< percent for both percentages (10 for "+10%"), else bits per weight or bytes
  std::string text;  ///< as the user wrote it, without surrounding blanks

  /// Units KiB to TiB, kB to TB and B in any case. @throws Error{kInvalidArgument} listing the spellings
  static Budget parse(std::string_view text);
  /// The whole file's size in bytes, rounded down.
  /// @param parameters weights counted by bits_per_weight: all tensors of the file
  /// @throws Error{kInvalidArgument} above 2^60 bytes
  uint64_t bytes(uint64_t uniform_int4_file_bytes, uint64_t parameters, uint64_t file_bytes_16bit) const;
};

/// What one scheme would cost for one tensor.
struct Candidate {
  std::string scheme;
  uint64_t bytes = 0;  ///< at most 2^60
  double damage = 0;   ///< predicted KL in nats per token; finite, 0 to 1e12
};

struct PlanItem {
  std::string tensor;
  std::vector<Candidate> candidates;  ///< any order; a scheme at most once
};

struct KnapsackProblem {
  std::vector<PlanItem> items;
  /// Items that must take the same scheme; groups that share an item are one group. A scheme that one member lacks is
  /// not available to the group.
  std::vector<std::vector<size_t>> tied;
  uint64_t budget_bytes = 0;
};

struct KnapsackOptions {
  uint64_t max_nodes = 4'000'000;  ///< partial choices looked at before the search settles for its proven gap
  double relative_gap = 0;         ///< a gap that is good enough to stop; 0 asks for the optimum
};

struct KnapsackSolution {
  bool feasible = false;        ///< false: only smallest_bytes means anything
  std::vector<size_t> choice;   ///< per item: index into its candidates
  uint64_t bytes = 0;           ///< of the choice, at most the budget
  double damage = 0;            ///< of the choice, nats per token
  double lower_bound = 0;       ///< proven: no choice within the budget has less (but for the rounding of sums, 1e-12)
  double price_per_byte = 0;    ///< nats that one more byte saves in the linear relaxation; 0: the budget does not bind
  uint64_t smallest_bytes = 0;  ///< of any choice, also when infeasible; UINT64_MAX when it does not fit 64 bits
  uint64_t nodes = 0;
  /// (damage - lower_bound) / damage: 0 when the choice is proven optimal.
  double gap() const { return damage > 0 ? (damage - lower_bound) / damage : 0; }
};

/// The choice of least total damage within the budget, exactly or with a proven gap; never worse than the same scheme
/// everywhere (and the best greedy filling where that scheme is missing). Equal inputs give equal choices.
/// @throws Error{kInvalidArgument} for an item without candidates, a scheme listed twice, damages that are negative or
///         not finite, groups without a common scheme, indices out of range. A budget that is too small is a value, not
///         an error.
/// @source multiple-choice knapsack: hulls and greedy as Sinha & Zoltners 1979; core search as Pisinger 1995 (a minimal
///         algorithm for the multiple-choice knapsack problem), here bounded by the exact linear relaxation of the
///         undecided items
/// @cost O(n k log(n k)), then at most max_nodes steps; 2,300 tensors x 6 schemes take about 0.05 s
KnapsackSolution solve_knapsack(const KnapsackProblem& problem, const KnapsackOptions& options = {});

/// One sentence in users' words: why this candidate and not its neighbours.
/// @param price_per_byte nats per byte at the budget's margin (KnapsackSolution::price_per_byte)
/// @throws Error{kInvalidArgument} when choice is out of range
std::string explain_choice(const PlanItem& item, size_t choice, double price_per_byte);
/// One sentence per item; members of a group are explained by the group's sums.
std::vector<std::string> explain_solution(const KnapsackProblem& problem, const KnapsackSolution& solution);

struct PlanEntry {
  std::string tensor{};  ///< name_of(TensorId): "L3.ffn_down", "embed"; the target's own names are the target's
  std::string role{};
  int64_t layer = -1;  ///< -1: belongs to no layer
  int64_t rows = 0;    ///< of all stacked matrices together
  int64_t cols = 0;    ///< row length
  std::string scheme{};
  uint64_t bytes = 0;
  double damage = 0;  ///< predicted KL, nats per token; NaN where nothing was measured
  std::string reason{};
  std::string wanted{};  ///< the scheme that was asked for, where the shape cannot take it and `scheme` stands in
};

/// What a plan for an objective over groups means to one of them.
struct PlannedGroup {
  std::string group{};
  double weight = 0;         ///< in the objective; of the worst group: those that prove its bound. Their sum is 1
  double kl_nats = 0;        ///< predicted, nats per token
  double least_kl_nats = 0;  ///< proven: no plan within the budget does less to this group
};

/// Why a plan is not the one of least mean damage.
struct PlannedObjective {
  std::string name{};              ///< PlanObjective::text: "worst-group", "weighted:de=2,fr=1"
  double kl_nats = 0;              ///< predicted, of the worst group or weighted
  double lower_bound_kl_nats = 0;  ///< proven: no plan within the budget reaches less
  std::vector<PlannedGroup> groups{};
};

/// The artefact: every tensor of the file with its scheme, and where that came from.
struct Plan {
  int schema_version = 2;
  std::string target{};               ///< "llama.cpp"
  std::string method = "importance";  ///< how the stored values are searched (find_value_search)
  std::string label{};                ///< "planned", "uniform gguf:q4_k" ...
  std::string budget_text{};
  uint64_t budget_bytes = 0;
  uint64_t tensor_bytes = 0;  ///< sum over entries
  double price_per_byte = 0;
  /// Sum of the entries' damages; NaN where nothing was measured, as in a recipe or what llama-quantize would choose.
  double predicted_kl_nats = std::numeric_limits<double>::quiet_NaN();
  /// Proven for all choices whose tensors take as many bytes; NaN where nothing was solved.
  double lower_bound_kl_nats = std::numeric_limits<double>::quiet_NaN();
  std::vector<PlanEntry> entries{};
  /// Absent for the mean. With one, predicted and bounded KL are still those of the mean, so that plans compare.
  std::optional<PlannedObjective> objective{};
  nlohmann::ordered_json provenance =
      nlohmann::ordered_json::object();  ///< hashes of inputs, options, seed, tool version
};

/// What stands in for schemes that do not fit, a line each: "181 of 211 tensors as gguf:q5_0: gguf:q4_k does not fit
/// rows of 576". Empty when nothing does.
std::vector<std::string> fallback_lines(const Plan& plan);

nlohmann::ordered_json plan_to_json(const Plan& plan);
/// Strict: every key, type and range; names unique; bytes add up. @throws Error{kBadFile} naming `origin`, the entry
/// and the key
Plan plan_from_json(const nlohmann::ordered_json& json, const std::string& origin);

/// Editable text, one anchored line per tensor: `^L0\.attn_q$ = gguf:q4_k  # reason`.
std::string recipe_text(const Plan& plan);
/// The recipe as a file carries it: how values were found and a line per tensor, without reasons, and as long whatever is
/// chosen, so that what is left of a budget for tensors depends neither on their schemes nor on --method.
std::string carried_recipe(const Plan& plan);

struct RecipeRule {
  std::string pattern;  ///< Perl-compatible, searched anywhere in the name unless anchored
  std::string scheme;
  std::string reason;
  int line = 0;
};

/// A recipe read back: the first rule that matches a tensor's name decides.
class Recipe {
 public:
  const std::vector<RecipeRule>& rules() const { return rules_; }
  const std::string& origin() const { return origin_; }
  /// Index of the first matching rule. @throws Error{kBadFile} when a pattern backtracks without end
  std::optional<size_t> find(std::string_view tensor) const;
  /// The same for tensors that go by several names, in one order of namings for all: names[tensor][naming]. A rule may
  /// be written in any. One with a negation (`(?!`, `(?<!`, `[^`) would match by a second name what it leaves out by
  /// the first, so a tensor must match it by every naming in which it matches anything.
  std::vector<std::optional<size_t>> find_all(const std::vector<std::vector<std::string>>& names) const;

 private:
  friend Recipe parse_recipe(std::string_view text, const std::string& origin);
  struct Patterns;
  struct Matcher;
  bool matches(const Matcher& matcher, size_t rule, std::string_view name) const;

  std::string origin_;
  std::vector<RecipeRule> rules_;
  std::shared_ptr<const Patterns> patterns_;
};

/// Lines are `regex = scheme  # reason`, blank, or comments. The last `=` splits, so that look-aheads work; a comment
/// begins at a `#` after a blank. A byte-order mark of UTF-8 and line ends of Windows are read over. Schemes are not
/// checked here. @throws Error{kBadFile} naming the line
Recipe parse_recipe(std::string_view text, const std::string& origin);

}  // namespace vernier
