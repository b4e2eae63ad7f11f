#include "finetune/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/fail.h"
#include "vernier/finetune.h"

namespace vernier {

namespace {

const std::vector<DecayRow>& decay_rows() {
  static const std::vector<DecayRow> rows = {
      {"cosine",
       [](double done, double last) { return last + (1 - last) * (1 + std::cos(std::numbers::pi * done)) / 2; }},
      {"exponential", [](double done, double last) { return std::pow(last, done); }},
  };
  return rows;
}

}  // namespace

std::vector<std::string> finetune_decays() {
  std::vector<std::string> names;
  for (const DecayRow& row : decay_rows()) names.push_back(row.name);
  return names;
}

const DecayRow& find_decay(const std::string& name) {
  for (const DecayRow& row : decay_rows())
    if (row.name == name) return row;
  fail(ErrorKind::kInvalidArgument, "finetune: \"{}\" is no decay; there are {}", name,
       fmt::join(finetune_decays(), ", "));
}

double LearningRate::at(int64_t step, double passed) const {
  if (step < warm_up) return peak * static_cast<double>(step + 1) / static_cast<double>(warm_up);
  const auto span = static_cast<double>(std::max<int64_t>(1, steps - 1 - warm_up));
  const double done = std::min(1.0, std::max(passed, static_cast<double>(step - warm_up) / span));
  return peak * decay.share(done, last);
}

}  // namespace vernier
