#include "planning/choices.h"

#include <algorithm>

#include "plan/choice_class.h"
#include "planning/tensor_damages.h"

namespace vernier {

std::vector<Choice> choices_of(const Model& model, const DamageTable& table, const PlanningOptions& options) {
  const std::vector<TensorId> matrices = model.matrices();
  const KnapsackProblem problem = planning_problem(tensor_damages(model, table, find_target(options.target)),
                                                   planning_rules(options.target, options.codebooks));
  std::vector<Choice> choices;
  for (const internal::ChoiceClass& c : internal::make_classes(problem)) {
    Choice& choice = choices.emplace_back();
    for (const size_t member : c.members) choice.tensors.push_back(matrices[member]);
    for (const internal::Option& option : c.available) {
      const std::string& scheme = problem.items[c.members.front()].candidates[option.candidate].scheme;
      ChoiceOffer offer{scheme, static_cast<double>(option.bytes), {}};
      for (const size_t member : c.members)
        offer.kl.push_back(std::ranges::find(problem.items[member].candidates, scheme, &Candidate::scheme)->damage);
      choice.offers.push_back(std::move(offer));
    }
  }
  return choices;
}

}  // namespace vernier
