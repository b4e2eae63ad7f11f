#pragma once

// What flows through a model, and what rounding it costs: magnitudes, outlier features, massive activations and attention
// sinks per site and layer; errors of activation grids and cache formats where they arise, through depth and at the end.
// In: a Model, text or images. Out: an ActivationStudy, stored as activations.json.
//
//   const ActivationFacts facts = activation_facts(model, windows);
//   facts.sites.at({Site::kFfnDownInput, 11}).abs_max;
//   const ActivationStudy study = study_activations(model, windows, data, {.grids =
//   {ActivationGrid::parse("int8:token")}});

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "vernier/activation_grid.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/measured.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/stack.h"
#include "vernier/vision_inputs.h"

namespace vernier {

struct MassiveActivation {
  int64_t window = 0, position = 0, channel = 0;
  float value = 0;
};

/// Values beyond 100 times the site's median magnitude.
/// @source 2402.17762, whose definition also asks for a magnitude above 100; here that is for the reader to see
struct MassiveActivations {
  int64_t count = 0, windows = 0;                      ///< values; windows that have any
  std::vector<std::pair<int64_t, int64_t>> positions;  ///< the most frequent, and how often; none of experts
  std::vector<std::pair<int64_t, int64_t>> channels;   ///< the same
  std::vector<MassiveActivation> largest;              ///< at most 20
};

struct ChannelPeak {
  int64_t channel = 0;
  float abs_max = 0;
};

/// Of all rows that entered a site in a layer; the experts of a layer count as one site, channel by channel.
struct SiteFigures {
  int64_t values = 0, channels = 0;
  double mean = 0, mean_abs = 0, rms = 0;
  double kurtosis = 0;  ///< m4 / m2^2: 3 of a normal distribution
  /// Percentiles of magnitudes over all values, by linear interpolation within 1/512 of an octave.
  double median_abs = 0, p99 = 0, p99_9 = 0, p99_99 = 0;
  float abs_max = 0, abs_max_after_first = 0;  ///< also without the first token of each text; of images all rows
  double channel_mean_abs = 0;                 ///< median over channels of the mean magnitude
  int64_t channels_from_6 = 0, channels_from_6_after_first = 0;  ///< that reach the magnitude 6
  std::vector<ChannelPeak> peaks;                                ///< the five channels of the largest magnitudes
  MassiveActivations massive;
  /// Values by magnitude: bin i counts 2^((first + i)/2) <= |x| < 2^((first + i + 1)/2); below 2^-32 in none.
  int first_half_octave = 0;
  std::vector<int64_t> histogram;
};

/// A channel of the same index in many layers: LLM.int8()'s protocol (2208.07339, section 4): magnitudes of 6 and more
/// in at least 25% of the layers, and in at least 6% of the tokens over all layers.
struct OutlierFeature {
  Site site = Site::kResidual;
  int64_t channel = 0;
  double layer_share = 0, token_share = 0;
  float abs_max = 0;
  double ratio_to_median = 0;  ///< the largest over layers of its peak over the site's median magnitude
};

/// What share of attention lies on a window's first token, over the queries of the scored half.
struct AttentionSink {
  double mean = 0;
  std::vector<double> heads;
};

struct ActivationFacts {
  std::string data_name, data_hash;
  int64_t windows = 0, tokens = 0;      ///< or images and the rows that they are, learned ones with them; or prompts
  std::map<SiteId, SiteFigures> sites;  ///< without Site::kFirstTokenShare
  std::vector<OutlierFeature> outlier_features;
  std::map<int, AttentionSink> sinks;  ///< by layer; none of images, whose first row is a patch like any other
};

/// @cost two forward passes. @throws Error{kInvalidArgument} for models that are no language models
ActivationFacts activation_facts(const Model& model, const EvaluationData& data, const ComputeOptions& compute = {},
                                 ProgressSink* progress = nullptr);

/// What rounding does to the values of one site.
struct LocalErrors {
  double mse = 0, sqnr_db = 0, cosine = 0;
  double bias = 0;  ///< mean error over the root mean square of the values
  /// Over magnitudes in half octaves and signs; an empty bin of the rounded values counts as 1e-6 of them.
  double histogram_kl = 0;
  double clipped_share = 0, dead_share = 0;  ///< of values: beyond the range; not 0 but rounded to it
  /// Of the square error, that of clipped and of dead values; the rest is rounding.
  double clip_error_share = 0, dead_error_share = 0;
};

/// One grid at every site: attention and feed-forward inputs of all layers; the output matrix's input stays exact.
struct GridFigures {
  ActivationGrid grid;
  std::map<SiteId, float> ranges;       ///< of static grids that tensors share
  std::map<SiteId, LocalErrors> local;  ///< over the text that KL is measured on
  std::vector<double> growth;  ///< after each layer |x' - x|^2 / |x|^2 of the residual stream, everything rounded
  Measured together;           ///< KL in nats per token, or per image
  std::map<Site, Measured> alone;
};

struct CacheFigures {
  CacheFormat format;
  std::map<SiteId, LocalErrors> local;  ///< of Site::kKeys and Site::kValues
  Measured keys, values, both;          ///< KL in nats per token
};

struct ActivationStudy {
  int schema_version = 1;
  std::string model_name, model_hash, data_name, data_hash;
  std::string inputs = "window";  ///< what was looked at: "window" (of text), "image" or "prompt" (of CLIP)
  int64_t windows = 0;            ///< or images, or prompts
  int64_t images = 0;             ///< whose answers KL is of; 0: windows of text
  ActivationFacts facts;
  std::vector<GridFigures> grids;
  std::vector<CacheFigures> caches;
};

struct ActivationStudyOptions {
  ComputeOptions compute;
  std::vector<ActivationGrid> grids;
  std::vector<CacheFormat> caches;
  int64_t growth_windows = 4;   ///< windows or images that errors through depth are measured on
  Stack tower = Stack::kImage;  ///< of CLIP: that one is looked at and rounded, the other stays exact
};

/// Facts and static ranges from `calibration`, errors on `data`.
/// @cost three forward passes and, for each grid and cache format, one per site and two more
/// @throws as activation_facts and evaluate
ActivationStudy study_activations(const Model& model, const EvaluationData& calibration, const EvaluationData& data,
                                  const ActivationStudyOptions& options, ProgressSink* progress = nullptr);

/// The same of a model that sees: KL is of its classes, per image. Sites are named as in a model of one stack.
/// @throws Error{kInvalidArgument} for language models, and for cache formats: there is no cache
ActivationStudy study_activations(const Model& model, const AnswerData& calibration, const AnswerData& data,
                                  const ActivationStudyOptions& options, ProgressSink* progress = nullptr);

nlohmann::ordered_json activation_study_to_json(const ActivationStudy& study);
/// The inverse, but for what cannot be written: infinite and undefined figures are NaN. `origin` names it in messages.
/// @throws Error{kBadFile} naming the key that is missing or wrong
ActivationStudy activation_study_from_json(const nlohmann::ordered_json& json, const std::string& origin);

/// What `grid` means at each site of the model that `kinds` name, its static ranges found on `calibration`; experts of
/// a layer share a range. @cost two forward passes for a static grid, else none
RoundedSites round_sites(const Model& model, const ActivationGrid& grid, const std::vector<Site>& kinds,
                         const EvaluationData& calibration, const ComputeOptions& compute = {},
                         ProgressSink* progress = nullptr);

/// The sites that grids are measured at, of those that the model has.
std::vector<Site> rounded_sites_of(const Model& model);

}  // namespace vernier
