#include "vernier/curvature.h"

namespace vernier {

MeasuredCauses::MeasuredCauses(const Model& reference, LossOfExamples loss, const CurvatureOptions& options,
                               ProgressSink* progress)
    : reference_(reference), loss_(std::move(loss)), options_(options), progress_(progress) {}

void MeasuredCauses::complete(const Model& quantized, const std::string& attribute, const ExamplesByGroup& examples,
                              std::vector<ChainRecord>& records) {
  const auto [known, is_new] = causes_.try_emplace({&quantized, attribute});
  if (is_new) known->second = measure(quantized, attribute, examples, records);
  for (ChainRecord& record : records) {
    const auto cause = known->second.find(record.group);
    if (cause == known->second.end()) continue;
    record.gradient_norm = cause->second.gradient_norm;
    record.top_eigenvalue = cause->second.top_eigenvalue;
    record.foretold_loss_change = cause->second.foretold_loss_change;
    record.expanded_loss_change = cause->second.expanded_loss_change;
    record.activation_change = cause->second.activation_change;
  }
}

MeasuredCauses::Causes MeasuredCauses::measure(const Model& quantized, const std::string& attribute,
                                               const ExamplesByGroup& examples,
                                               const std::vector<ChainRecord>& records) {
  ExamplesByGroup groups;  // those that are large enough
  for (const ChainRecord& record : records)
    if (const auto found = examples.find(record.group); found != examples.end()) groups.insert(*found);
  if (groups.empty()) return {};
  CurvatureOptions options = options_;
  std::vector<GroupCurvature>& first = of_reference_[attribute];
  if (!first.empty()) options.max_iterations = options.max_probes = 0;  // the reference's own, known already
  const auto curvature = group_curvature(reference_, &quantized, loss_, groups, options, progress_);
  if (first.empty()) first = curvature;
  Causes causes;
  for (const GroupCurvature& one : curvature) {
    causes[one.group].gradient_norm = one.gradient_norm;
    causes[one.group].foretold_loss_change = one.expansion->foretold();
    causes[one.group].expanded_loss_change = one.expansion->real;
  }
  for (const GroupCurvature& one : first) causes[one.group].top_eigenvalue = one.top_eigenvalue;
  for (const ActivationChange& one : activation_change(reference_, quantized, loss_, groups, options, progress_))
    causes[one.group].activation_change = one.read_out;
  return causes;
}

}  // namespace vernier
