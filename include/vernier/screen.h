#pragma once

// What quantizing every component under every candidate scheme would cost, foretold without quantizing any: from one
// forward and one backward pass per sequence, with labels drawn from the model itself. Cheap where a Diagnosis is exact;
// compare_estimators says how far it can be trusted. In: a Model, its Calibration, token windows of one or more domains.
// Out: a Screen, stored as screen.json, and statistics per channel in a safetensors file beside it.
//
//   const Screen s = screen(model, calibration, {{"wiki", windows}}, {.schemes = {"gguf:q4_k", "gguf:q3_k"}});
//   for (const Component& c : s.components) print(name_of(c), s.at(c, "gguf:q4_k", "predicted_kl").mean);
//
// A ranking belongs to a text: estimates are kept per domain.

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vernier/calibrate.h"
#include "vernier/component.h"
#include "vernier/compute.h"
#include "vernier/data.h"
#include "vernier/diagnose.h"
#include "vernier/limit.h"
#include "vernier/measured.h"
#include "vernier/model.h"
#include "vernier/progress.h"
#include "vernier/vision_inputs.h"

namespace vernier {

/// Sums from which an estimate is made; the library's own.
struct ComponentSums;

/// One way to foretell the damage of a component, a row of a table.
struct Estimator {
  std::string_view key;        ///< in JSON and on the command line
  std::string_view name;       ///< in tables
  std::string_view unit;       ///< "nats" per scored token, "dB"; "" for none
  std::string_view source;     ///< paper and equation
  std::string_view meaning;    ///< a sentence for those who do not know it
  std::string_view needs;      ///< "weights", "gradients", "token rows", "Hessian probes", "calibration of the others"
  bool predicts_nats = false;  ///< its value is a KL; the others only rank
  bool falls = false;          ///< smaller values foretell more damage
  Measured (*estimate)(const ComponentSums& sums) = nullptr;  ///< nullptr: made from other rows
};

/// All of them, the most telling ones first.
const std::vector<Estimator>& estimators();
/// nullptr when there is none of that key.
const Estimator* find_estimator(std::string_view key);

/// Whose next tokens the gradients are of.
enum class ScreenLabels {
  kSampled,  ///< drawn from the model: the Fisher information, i.e. the curvature of KL
  kText,     ///< the true next tokens: the empirical Fisher, and a first-order term that means something
};

struct ScreenText {
  std::string name;  ///< of the domain
  EvaluationData data;
};

/// What streams between layers may take where ScreenOptions::memory_bytes says nothing.
inline constexpr int64_t kScreenStreamBytes = int64_t{2} << 30;

struct ScreenOptions {
  std::vector<std::string> schemes = {"gguf:q4_k"};
  std::set<ComponentKind> kinds = all_component_kinds();
  uint64_t seed = 0;  ///< of labels, token rows, probes
  ScreenLabels labels = ScreenLabels::kSampled;
  /// For the streams between layers, which are made again where they do not fit, for the sequences that are differentiated
  /// at once, of which there are fewer than threads where those do not fit, and for tiles of the output matrix. At least
  /// least_screen_memory(). 0: kScreenStreamBytes for the streams, and as many sequences at once as threads, as far as half
  /// of the memory that is free holds them. Besides, one layer is in memory in float32, packed, and with its errors under
  /// every scheme. No figure depends on it but by the rounding of sums.
  int64_t memory_bytes = 0;
  /// Rows of a matrix's inputs and output gradients that K-FAC pairs, per domain, evenly from its windows; 0: no K-FAC.
  int64_t kfac_rows = 512;
  bool channels = false;  ///< also statistics per input and output channel
  /// Also the rate-distortion limit, of all domains together. Takes the sums of outer products of one layer in float32
  /// (every width squared), and a quarter of memory_bytes is for rows; limit_core_seconds() says what time.
  bool limit = false;
  int hessian_probes = 0;  ///< Hutchinson probes for HAWQ-V2; each a double backward of the whole model, in float32
  ComputeOptions compute = {};
};

/// The error of a matrix in a scheme, without any gradient.
struct MatrixError {
  std::string scheme;      ///< what it gets: the wanted scheme or its fallback by shape
  bool kept = false;       ///< stored so already: no error
  double error_power = 0;  ///< sum of E[x_j^2] (Q(w) - w)^2, E over the calibration text
  double sqnr_db = 0;      ///< infinite without error
};

struct ScreenedMatrix {
  TensorId tensor;
  int64_t rows = 0, cols = 0;
  std::vector<MatrixError> errors;  ///< by wanted scheme, in the order of Screen::schemes
};

/// What predicted_kl multiplies the diagonal estimate by.
struct ScreenScale {
  Measured ratio;  ///< directional over diagonal estimate, all components of a kind and all schemes together
  /// The ratio drawn towards 1, or a kind's towards that of all, the more so the less certain it is.
  Measured used{1, 0};
};

struct ScreenedDomain {
  std::string name, data_name, data_hash;
  int64_t windows = 0;
  int64_t tokens = 0;  ///< scored
  Measured label_nll;  ///< nats per token; with sampled labels it estimates the model's own entropy
  /// By kind of component, and "all" over whole matrices.
  std::map<std::string, ScreenScale> scales;
};

/// Per matrix and domain; an entry per channel.
struct ChannelScores {
  TensorId tensor;
  int domain = 0;
  std::vector<float> mean_abs, abs_max;  ///< of the inputs (AWQ's and LLM.int8()'s scores), empty for a look-up [cols]
  std::vector<float> input_gradient;     ///< root of the mean over tokens of the squared weight gradient [cols]
  std::vector<float> output_gradient;    ///< the same [rows]
  std::vector<float> combined;           ///< mean of the ranks, in [0, 1], of the three input scores [cols]
  /// By wanted scheme: the diagonal estimate of the channel, nats per token.
  std::vector<std::vector<float>> input_damage, output_damage;
};

struct Screen {
  int schema_version = 1;
  std::string model_hash, calibration_hash;
  uint64_t seed = 0;
  ScreenLabels labels = ScreenLabels::kSampled;
  int64_t kfac_rows = 0;
  int hessian_probes = 0;
  std::vector<std::string> schemes;  ///< canonical names
  std::vector<ScreenedDomain> domains;
  std::vector<Component> components;
  std::vector<int64_t> parameters;      ///< weights inside each component
  std::vector<std::string> estimators;  ///< keys of those that were made
  /// Rounded to 7 digits; NaN where an estimator says nothing about a component. Index: value_index().
  std::vector<Measured> values;
  std::vector<ScreenedMatrix> matrices;
  std::vector<ChannelScores> channels;  ///< with ScreenOptions::channels; not part of the JSON
  std::optional<Limit> limit;           ///< with ScreenOptions::limit

  size_t value_index(size_t estimator, size_t domain, size_t scheme, size_t component) const {
    return ((estimator * domains.size() + domain) * schemes.size() + scheme) * components.size() + component;
  }
  /// nullptr for an estimator, domain, scheme or component that is not there.
  const Measured* find(const Component& component, std::string_view scheme, std::string_view estimator,
                       size_t domain = 0) const;
  /// @throws Error{kInvalidArgument} naming what is missing
  const Measured& at(const Component& component, std::string_view scheme, std::string_view estimator,
                     size_t domain = 0) const;
};

/// @cost over the tokens of all domains about 4 differentiable forward passes, per scheme less than half of one, and the
///       quantization of every matrix in every scheme
/// @throws Error{kInvalidArgument} for a calibration of another model, schemes that do not exist, no domain, too little memory;
///         {kUnsupported} for a device other than the CPU
Screen screen(const Model& model, const Calibration& calibration, const std::vector<ScreenText>& domains,
              const ScreenOptions& options = {}, ProgressSink* progress = nullptr);

/// The same of a model that sees: an image is a sequence with one label, drawn from its classes (of a model of images and texts
/// those that its prompts make, through both towers), and all images are one domain, "images".
/// @cost as above over the images; of a tower that reads, for every image a pass over all prompts
/// @throws Error{kInvalidArgument} also where the data are not what the model answers to; {kUnsupported} also for a limit,
///         channels and Hessian probes
Screen screen(const Model& model, const Calibration& calibration, const AnswerData& data,
              const ScreenOptions& options = {}, ProgressSink* progress = nullptr);

/// The least ScreenOptions::memory_bytes for these sequences: one that is differentiated, and the streams that a backward
/// pass cannot do without.
int64_t least_screen_memory(const Model& model, const std::vector<ScreenText>& domains,
                            const ScreenOptions& options = {});
int64_t least_screen_memory(const Model& model, const AnswerData& data, const ScreenOptions& options = {});

/// About how many seconds of one core a limit's eigenvalue decompositions take: 4/3 n^3 operations each, 4e9 a second.
/// The sums of outer products come on top, about as much as a forward pass or two.
double limit_core_seconds(const Model& model);
/// How many tokens a limit should be of: four times the widest side of a matrix, of experts as many more as tokens pass them
/// by. Of fewer, the smallest eigenvalues are much too small, and the limit is too low.
int64_t tokens_for_limit(const Model& model);

nlohmann::ordered_json screen_to_json(const Screen& screen);
/// @throws Error{kBadFile} naming `origin` and the key
Screen screen_from_json(const nlohmann::ordered_json& json, const std::string& origin);
/// The same as a file on few lines. @throws Error{kIo}
void save_screen(const Screen& screen, const std::filesystem::path& path);

/// Screen::channels: "L3.ffn_down.wiki.mean_abs", "L3.ffn_down.wiki.input_damage.gguf:q4_k" ... @throws Error{kIo}
void save_channels(const Screen& screen, const std::filesystem::path& path);

/// A figure with the middle 95% of its bootstrap over components; NaN bounds where there were too few.
struct Interval {
  double value = 0, low = 0, high = 0;
};

/// How well one estimator foretold what an exact sweep measured.
struct EstimatorAgreement {
  std::string estimator, domain;
  std::string components;  ///< "matrices", "parts" (heads, KV heads, feed-forwards), or a kind
  int64_t count = 0;       ///< components compared
  int64_t top = 0;         ///< how many the overlap is of
  /// Among components whose matrices got the same schemes; the groups' figures are averaged by their sizes.
  Interval spearman, kendall, top_overlap;
  double ratio_of_totals = 0;  ///< estimated over exact KL, NaN for estimators that only rank
};

/// What compare_estimators would refuse of a screen of these schemes, for who is yet to make it.
/// @throws Error{kInvalidArgument} when the two are of different models, or the diagnosis' scheme is none of `schemes`
void check_comparable(const std::string& model_hash, const std::vector<std::string>& schemes,
                      const Diagnosis& diagnosis);
/// @param domain which of the screen's, -1: all
/// @throws as check_comparable
std::vector<EstimatorAgreement> compare_estimators(const Screen& screen, const Diagnosis& diagnosis, int domain = -1);
nlohmann::ordered_json agreements_to_json(const std::vector<EstimatorAgreement>& agreements);

}  // namespace vernier
