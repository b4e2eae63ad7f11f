#pragma once

// Plans for a model: the one of least damage within a budget, and those that need no damage, to compare with.
// In: a Model, its tokenizer (part of the file's size), a DamageTable. Out: a Plan for quantize.h and export.h.
//
//   const Diagnosis diagnosis = diagnose(model, calibration, windows, planning_diagnosis("llama.cpp"));
//   const Plan plan = plan_within(model, tokenizer_model, damage_table(model, diagnosis), "+10%");

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vernier/damage_table.h"
#include "vernier/diagnose.h"
#include "vernier/limit.h"
#include "vernier/plan.h"
#include "vernier/plan_objective.h"
#include "vernier/target.h"

namespace vernier {

struct PlanningOptions {
  std::string target = "llama.cpp";  ///< who loads what is written, a row of targets()
  ExportOptions file{};              ///< what else decides the size of the file
  PlanObjective objective{};         ///< of plan_within alone: fronts and uniform plans go by the mean
  bool codebooks = false;            ///< TargetRules::codebooks are candidates too
  /// Of plan_within by the mean: the last layer's damage counts so many times the first's, geometrically in between, and
  /// what stands outside of the layers once. For a model that will be trained with rounding (finetune.h): the layers
  /// behind an error learn to make up for it, so that less is left of early ones.
  double last_over_first = 1;
  std::string method{};  ///< of the plans, whose name a file may hold; empty: the damage's, or else Plan's own
};

/// What plan_within has to know: `scheme` measured alone in every component, and the weight error of every scheme that
/// the target loads.
/// @throws Error{kUnsupported} for a target that is planned but not built, {kInvalidArgument} for an unknown one
DiagnoseOptions planning_diagnosis(const std::string& target = "llama.cpp", const std::string& scheme = "gguf:q4_k",
                                   bool codebooks = false);

/// What plans may use of a target.
TargetRules planning_rules(const std::string& target, bool codebooks);

/// The plan of least predicted damage, where a matrix may stay as it is stored, whose Target::counted_bytes (for most
/// targets the whole file) stay within `budget`: "+10%" over our own uniform 4-bit file (Target::four_bit_schemes) with
/// the same metadata, "4.5bpw" in bits per weight of the whole file, or a size such as "3.8GiB".
/// @throws Error{kInvalidArgument} when the budget cannot be read, or the damage is of another model or of too few
///         matrices, knows no groups that the objective asks for, or last_over_first is not a positive number or not
///         by the mean; Error{kUnsupported} for the target or the tokenizer; Error{kInfeasible} with the smallest
///         reachable size
Plan plan_within(const Model& model, const TokenizerModel& tokenizer, const DamageTable& damage,
                 const std::string& budget, const PlanningOptions& options = {});

/// The plan of at least as many bytes as `planned` that is foretold to hurt most: how far an unlucky mix may be from a
/// planned one. Its reasons name the matrices that make it so, by how much more they hurt than in `planned`; its
/// provenance holds "random_mixes": count, mean, least, most damage of random choices of those bytes (within 1%), and
/// where damage is known by group (or domain of a screen) "worst_by_group": what each may lose by this plan, and by the
/// one that is worst for it.
/// @throws Error{kInvalidArgument} where the damage is of another model, or `planned` of other matrices
Plan plan_worst(const Model& model, const DamageTable& damage, const Plan& planned,
                const PlanningOptions& options = {});

/// What a budget means for this model, once it is known that some plan meets it. Needs shapes only.
/// @throws Error{kInfeasible} with the smallest reachable size; {kInvalidArgument, kUnsupported} as budget_bytes
uint64_t reachable_budget(const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                          const PlanningOptions& options = {});

/// What a budget means for this model, in Target::counted_bytes.
/// @throws Error{kInvalidArgument} when it cannot be read; {kUnsupported} for the target or the tokenizer
uint64_t budget_bytes(const Model& model, const TokenizerModel& tokenizer, const std::string& budget,
                      const PlanningOptions& options = {});

/// Uniform plans of the target whose file fits into `budget_bytes`, by rising size, each set of schemes once; none is
/// not an error.
/// @throws Error{kInvalidArgument, kUnsupported} as plan_within
std::vector<Plan> uniform_plans_within(const Model& model, const TokenizerModel& tokenizer, const DamageTable& damage,
                                       uint64_t budget_bytes, const PlanningOptions& options = {});

/// The recipe's lines applied to the model's matrices, with llama.cpp's fallback where a row is too short. A line may name
/// a matrix as name_of(TensorId) does or as any target does: "L3.ffn_down", "blk.3.ffn_down.weight".
/// @throws Error{kInvalidArgument} for a matrix that no line matches, for a line that matches none and for an unknown
///         target
Plan plan_from_recipe(const Model& model, const Recipe& recipe, const std::string& label,
                      const std::string& target = "llama.cpp");

/// Every matrix in the scheme that it is stored in.
Plan plan_as_stored(const Model& model, const std::string& label, const std::string& target = "llama.cpp");

/// Every matrix in one scheme, with llama.cpp's fallback where a row is too short.
/// @throws Error{kInvalidArgument} when there is no such scheme or target
Plan plan_uniform(const Model& model, const std::string& scheme, const std::string& target = "llama.cpp");

/// llama.cpp's mixes by the names that llama-quantize takes: "q4_k_m", "iq2_m" ...
std::vector<std::string> preset_names();

/// What llama-quantize would choose for the model, tensor by tensor, with an importance matrix. Compares like with like: the
/// same choices with our values. @throws Error{kInvalidArgument} when there is no such preset or target
Plan plan_preset(const Model& model, const std::string& preset, const std::string& target = "llama.cpp");

/// The largest of the presets whose file fits into `budget_bytes`, of equals the first; nothing where none does or the target
/// is not llama.cpp. @throws Error{kInvalidArgument, kUnsupported} as plan_within
std::optional<Plan> preset_within(const Model& model, const TokenizerModel& tokenizer, uint64_t budget_bytes,
                                  const PlanningOptions& options = {});

/// What separates a plan from the limit of its model. @param kl of the plan, predicted or measured, nats per token
/// @throws Error{kInvalidArgument} when they are of different models
LimitShares limit_shares(const Limit& limit, const Plan& plan, double kl);

/// 8 bits per byte of the whole file over its weights.
double bits_per_weight(uint64_t file_bytes, const Model& model);

}  // namespace vernier
