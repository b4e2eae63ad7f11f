// GLPK as an independent solver of the same integer programme.
#include <gtest/gtest.h>

#include "support/knapsack_problems.h"
#include "vernier/plan.h"

#ifdef VERNIER_HAVE_GLPK
#include <glpk.h>
#endif

namespace vernier {
namespace {

#ifdef VERNIER_HAVE_GLPK
struct Oracle {
  double relaxed = 0;  ///< optimum of the linear relaxation
  double damage = 0;   ///< optimum
};

/// Bytes are scaled to the budget and damages to about 1, so that GLPK's absolute tolerances mean little.
Oracle solve_by_glpk(const KnapsackProblem& problem) {
  glp_term_out(GLP_OFF);
  glp_prob* lp = glp_create_prob();
  glp_set_obj_dir(lp, GLP_MIN);
  const int items = static_cast<int>(problem.items.size());
  glp_add_rows(lp, items + 1);
  for (int i = 1; i <= items; ++i) glp_set_row_bnds(lp, i, GLP_FX, 1, 1);
  glp_set_row_bnds(lp, items + 1, GLP_UP, 0, 1);
  double scale = 0;
  for (const PlanItem& item : problem.items) scale += item.candidates.back().damage;
  for (int i = 0; i < items; ++i)
    for (const Candidate& candidate : problem.items[static_cast<size_t>(i)].candidates) {
      const int column = glp_add_cols(lp, 1);
      glp_set_col_kind(lp, column, GLP_BV);
      glp_set_obj_coef(lp, column, candidate.damage / scale);
      const int rows[] = {0, i + 1, items + 1};
      const double values[] = {0, 1, static_cast<double>(candidate.bytes) / static_cast<double>(problem.budget_bytes)};
      glp_set_mat_col(lp, column, 2, rows, values);
    }
  Oracle oracle;
  EXPECT_EQ(glp_simplex(lp, nullptr), 0);
  oracle.relaxed = glp_get_obj_val(lp) * scale;
  glp_iocp options;
  glp_init_iocp(&options);
  options.mip_gap = 1e-6;
  options.tm_lim = 5000;
  EXPECT_EQ(glp_intopt(lp, &options), 0);
  oracle.damage = glp_mip_obj_val(lp) * scale;
  glp_delete_prob(lp);
  glp_free_env();
  return oracle;
}
#endif

TEST(SolveKnapsackOracle, AgreesWithGlpk) {
#ifdef VERNIER_HAVE_GLPK
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const KnapsackProblem problem = transformer_problem(30, 5, 0.1 * static_cast<double>(seed), seed);
    const KnapsackSolution solution = solve_knapsack(problem);
    const Oracle oracle = solve_by_glpk(problem);
    // GLPK stops at a gap of 1e-6 and lets the budget be exceeded by 1e-7 of itself, hence 1e-5.
    EXPECT_NEAR(solution.damage, oracle.damage, 1e-5 * oracle.damage);
    EXPECT_EQ(solution.gap(), 0);
    const KnapsackSolution relaxed = solve_knapsack(problem, {.max_nodes = 0});
    EXPECT_NEAR(relaxed.lower_bound, oracle.relaxed, 1e-6 * oracle.relaxed)
        << "the root bound is the linear relaxation";
  }
#else
  GTEST_SKIP() << "built without GLPK";
#endif
}

}  // namespace
}  // namespace vernier
