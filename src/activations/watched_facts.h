#pragma once

// The two passes that facts and ranges come from: magnitudes first, then what takes them.

#include <map>

#include "activations/magnitudes.h"
#include "activations/massive.h"
#include "activations/site_sums.h"
#include "activations/watched_inputs.h"

namespace vernier {

struct ActivationMagnitudes {
  std::map<SiteId, ActivationSums> sums;  ///< without Site::kFirstTokenShare
  std::map<SiteId, MagnitudeHistogram> histograms;
  std::map<int, std::vector<double>> sinks;  ///< by layer and head: summed over queries of the scored half
  int64_t sink_queries = 0;
};
/// @cost a forward pass
ActivationMagnitudes measure_magnitudes(const Model& model, const WatchedInputs& inputs, const ComputeOptions& compute,
                                        ProgressSink* progress);

struct ActivationDetails {
  std::map<SiteId, LinearHistogram> linear;
  std::map<SiteId, MassiveCounter> massive;
};
/// @cost a forward pass
ActivationDetails measure_details(const Model& model, const WatchedInputs& inputs,
                                  const std::map<SiteId, SiteFigures>& figures, const ComputeOptions& compute,
                                  ProgressSink* progress);

/// Facts, and the histograms that static ranges are searched on.
struct WatchedFacts {
  ActivationFacts facts;
  std::map<SiteId, LinearHistogram> linear;
  std::map<SiteId, std::vector<float>> channels;  ///< each channel's largest magnitude
};
/// @cost two forward passes
WatchedFacts watch_facts(const Model& model, const WatchedInputs& inputs, const ComputeOptions& compute,
                         ProgressSink* progress);

}  // namespace vernier
