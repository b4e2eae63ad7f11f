// 05_plan MODEL OUT: bits where they matter, for a file of 4.7 per weight, as OUT/plan.json and OUT/recipe.txt. Wants
// what 04 wrote.

#include "example.h"
#include "vernier/planning.h"

namespace {

void plan(char** argv) {
  const vernier::Model model = vernier::load_model(argv[1]);
  const std::string out = argv[2], file = out + "/diagnosis.json";
  const vernier::Diagnosis diagnosis =
      vernier::diagnosis_from_json(nlohmann::ordered_json::parse(example::read_text(file)), file);
  const vernier::TokenizerModel tokenizer = vernier::load_tokenizer_of(model.source().path);  // part of the file

  const vernier::Plan plan = vernier::plan_within(model, tokenizer, vernier::damage_table(model, diagnosis), "4.7bpw");
  for (const vernier::PlanEntry& entry : plan.entries)
    std::printf("%-26s %-9s %s\n", entry.tensor.c_str(), entry.scheme.c_str(), entry.reason.c_str());
  std::printf("%llu of %llu bytes; predicted KL %.5f nats, no plan below %.5f\n",
              static_cast<unsigned long long>(vernier::find_target(plan.target).file_bytes(model, plan, tokenizer, {})),
              static_cast<unsigned long long>(plan.budget_bytes), plan.predicted_kl_nats, plan.lower_bound_kl_nats);
  example::write_text(out + "/plan.json", vernier::plan_to_json(plan).dump(2));
  example::write_text(out + "/recipe.txt", vernier::recipe_text(plan));
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "MODEL OUT", plan); }
