#include "reliability/correctness.h"

#include <algorithm>

namespace vernier {

std::string correctness(std::span<const float> logits, std::span<const int32_t> labels) {
  std::string result;
  const size_t classes = labels.empty() ? 0 : logits.size() / labels.size();
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = logits.subspan(i * classes, classes);
    result += std::max_element(row.begin(), row.end()) - row.begin() == labels[i] ? '1' : '0';
  }
  return result;
}

std::vector<double> as_numbers(const std::string& correct) {
  std::vector<double> values;
  for (const char c : correct) values.push_back(c == '1' ? 1 : 0);
  return values;
}

std::vector<double> mean_of(const std::vector<std::string>& several) {
  std::vector<double> mean(several.empty() ? 0 : several.front().size(), 0.0);
  for (const std::string& one : several)
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += one[i] == '1' ? 1.0 / static_cast<double>(several.size()) : 0;
  return mean;
}

}  // namespace vernier
