// What `auto` finds, and from there all codes of a layer together by the gradient of what the layer gives away
// (learn_rounding.h).

#include "quantize/value_search_table.h"

namespace vernier {

ValueSearch learned_search() {
  ValueSearch search = auto_search();
  search.name = "learned";
  search.about =
      "as auto, then the roundings of a layer learned together where held-back text agrees; of language models";
  search.source = "SignRound (arXiv:2309.05516) from what auto finds; AdaRound (arXiv:2004.10568)";
  search.learns = LearningSchedule();
  search.judges_held_out = false;  // what auto leaves is not what is left once more was learned
  return search;
}

}  // namespace vernier
