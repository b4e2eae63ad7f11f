#pragma once

// What every scheme would do to every matrix, in nats, whoever says so: the one thing that planning asks. Made of a
// diagnosis (measured at one scheme, carried over to the others by their error power) or of other evidence.
//
//   const DamageTable table = damage_table(model, diagnosis);
//   const Plan plan = plan_within(model, tokenizer_model, table, "+10%");

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "vernier/diagnose.h"
#include "vernier/search_effect.h"

namespace vernier {

struct Screen;

/// The same for one group of what was measured or foretold on.
struct GroupDamageTable {
  std::string name;
  int64_t tokens = 0;  ///< what a weight by size goes by
  std::map<TensorId, std::map<std::string, double>> kl;
};

struct DamageTable {
  std::string model_hash;
  /// The search whose values do that damage, which plans from it ask for (Plan::method); "": values are rounded as by
  /// `importance`.
  std::string method{};
  /// Scheme to predicted KL of the matrix alone in it, nats per token. A scheme that is missing is not foretold.
  std::map<TensorId, std::map<std::string, double>> kl;
  /// What that search leaves of rounding's damage: `kl` is as much smaller. Matrices of which nothing is known are missing.
  std::map<TensorId, double> left{};
  nlohmann::ordered_json provenance = nlohmann::ordered_json::object();  ///< goes into the plan
  /// With the matrices and schemes of `kl`; empty where fewer than two are known apart.
  std::vector<GroupDamageTable> groups;
};

/// Damage of a scheme that was not measured: second-order damage is proportional to the error power that enters, so the
/// measured KL is scaled by the ratio of importance-weighted error powers. Where the measured scheme stores a matrix
/// exactly, nothing is foretold of coarser ones. Of a group likewise, with its own measured KL and the error powers of
/// all.
/// @throws Error{kInvalidArgument} when the diagnosis is of another model or left a matrix out
DamageTable damage_table(const Model& model, const Diagnosis& diagnosis);

/// What several domains' damages are to a plan.
enum class DomainObjective {
  kMean,
  kWorst,  ///< of each matrix, in nats
};

/// "mean", "worst".
std::string_view objective_name(DomainObjective objective);
/// @throws Error{kInvalidArgument} that lists them
DomainObjective parse_objective(std::string_view name);

/// What a screen foretells, scheme by scheme; each of its domains is a group.
/// @throws Error{kInvalidArgument} when the screen is of another model or left a matrix out
DamageTable damage_table(const Model& model, const Screen& screen, DomainObjective objective = DomainObjective::kMean);

/// The damage that searched values do: each matrix' times what the search leaves of it, for every scheme alike. With
/// nothing known of any matrix only `method` is another.
/// @throws Error{kInvalidArgument} when the effect is of another model, or the table's values are searched already
DamageTable after_search(DamageTable rounded, const SearchEffect& effect);

/// damage.json: everything that `vernier plan` needs of a model's damage.
nlohmann::ordered_json damage_table_to_json(const DamageTable& table);
/// @throws Error{kBadFile} naming `origin` and the key
DamageTable damage_table_from_json(const nlohmann::ordered_json& json, const std::string& origin);

}  // namespace vernier
