// A program on the installed core alone: what a budget and a scheme mean in bytes, and a recipe that needs PCRE2.

#include <cstdio>

#include "vernier/plan.h"
#include "vernier/scheme.h"
#include "vernier/version.h"

int main() {
  const vernier::Budget budget = vernier::Budget::parse("+10%");
  const vernier::Scheme scheme = vernier::Scheme::parse("int4:g128:sym");
  const vernier::Recipe recipe = vernier::parse_recipe(R"(^blk\.\d+\.ffn_ = gguf:q4_k  # most)", "recipe");
  const bool matches = recipe.find("blk.3.ffn_down.weight").has_value();
  const auto bytes = static_cast<unsigned long long>(budget.bytes(1000, 2000, 4000));
  std::printf("vernier %s: %s = %llu bytes; %s: %.4f bits per weight\n", VERNIER_VERSION, budget.text.c_str(), bytes,
              scheme.name().c_str(), scheme.bits_per_weight(256, 1024));
  return matches && bytes == 1100 && scheme.bytes(256, 1024) == 256 * 1024 / 2 + 256 * 8 * 2 ? 0 : 1;
}
