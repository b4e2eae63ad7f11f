#pragma once

// What `mitigation` and `remedies` share: a model, what it learns from, held-out groups, and the outcome of one way to
// mend it, kept in a file so that a study that was ended goes on, and several processes share one.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/fail.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/sequential.h"
#include "base/text_table.h"
#include "vernier/classify.h"
#include "vernier/finetune.h"
#include "vernier/quantize.h"

namespace vernier {

/// On held-out examples, beside full precision.
struct Outcome {
  double worst_kl = 0, mean_kl = 0;    ///< nats per token or image
  double worst_gap = 0, mean_gap = 0;  ///< of the loss, nats per byte where bytes are counted
  double worst_lost = 0;               ///< the largest share of right answers that a group lost
  std::string worst_group;             ///< by KL
};

struct OutcomeFigure {
  const char* key;
  const char* title;
  double Outcome::*value;
};
inline constexpr OutcomeFigure kOutcomeFigures[] = {{"worst_kl_nats", "worst KL", &Outcome::worst_kl},
                                                    {"mean_kl_nats", "mean KL", &Outcome::mean_kl},
                                                    {"worst_gap_nats", "worst gap", &Outcome::worst_gap},
                                                    {"mean_gap_nats", "mean gap", &Outcome::mean_gap},
                                                    {"worst_lost_share", "worst lost", &Outcome::worst_lost}};

/// Mean with the half width of its 95% interval by Student's t; NaN for a single value.
inline std::pair<double, double> mean_and_half_width(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double v : values) mean += v / n;
  for (const double v : values) squares += (v - mean) * (v - mean);
  if (values.size() < 2) return {mean, NAN};
  return {mean, student_quantile(0.975, static_cast<int64_t>(values.size()) - 1) * std::sqrt(squares / (n - 1) / n)};
}

inline std::string with_half_width(const std::vector<double>& values) {
  const auto [mean, half] = mean_and_half_width(values);
  return std::isnan(half) ? fmt::format("{:.4f}", mean) : fmt::format("{:.4f} ± {:.4f}", mean, half);
}

class TrainingStudy {
 public:
  FinetuneOptions options;
  std::string method = "importance";
  int64_t seeds = 3, calibration_examples = 64;

  void add_options(CLI::App& app) {
    app.add_option("MODEL", model_path_)->required();
    app.add_option("--data", data_path_, "To learn from; what is held out as well is left out")->required();
    app.add_option("--groups", groups_path_, "Held out")->required();
    app.add_option("--attribute", attribute_, "Of images: the column of groups");
    app.add_option("--context", context_, "Tokens per window")->capture_default_str();
    app.add_option("--examples", examples_, "Of --data at most so many, as drawn; 0: all")->capture_default_str();
    app.add_option("--held-out", held_out_examples_, "Of --groups at most so many of each group; 0: all")
        ->capture_default_str();
    app.add_option("--seeds", seeds)->capture_default_str();
    app.add_option("--method", method, "How values are searched where nothing is trained")->capture_default_str();
    app.add_option("--calibration-examples", calibration_examples)->capture_default_str();
    app.add_option("--steps", options.steps)->capture_default_str();
    app.add_option("--batch", options.batch)->capture_default_str();
    app.add_option("--learning-rate", options.learning_rate)->capture_default_str();
    app.add_option("--warm-up", options.warm_up_steps)->capture_default_str();
    app.add_option("--evaluate-steps", options.evaluate_steps)->capture_default_str();
    app.add_option("--refit-steps", options.refit_steps)->capture_default_str();
    app.add_flag("--learn-scales", options.learn_scales);
    app.add_option("--scale-rate", options.scale_rate)->capture_default_str();
    app.add_option("--shift", options.shift, "Of images, pixels");
    app.add_flag("--mirror", options.mirror);
    app.add_option("--cutmix", options.cutmix, "Of images, CutMix")->capture_default_str();
    app.add_option("--loss", options.loss)->capture_default_str();
    app.add_option("--activations", activations_, "Also round the inputs of matrices: int8:token ...");
    app.add_option("--device", options.compute.device)->capture_default_str();
    app.add_flag("--bf16", bf16_, "Multiply in bfloat16");
    app.add_flag("--kernel-attention", options.kernel_attention);
    app.add_option("--resample", options.resample)->capture_default_str();
    app.add_option("--anneal-minutes", options.anneal_minutes)->capture_default_str();
    app.add_option("--decay", options.decay)->capture_default_str();
    app.add_option("--level-rate", options.level_rate)->capture_default_str();
    app.add_option("--average", options.average)->capture_default_str();
    app.add_option("--work", work_, "Folder of outcomes: a study that was ended goes on there");
    app.add_option("--part", part_, "K/N: make only each N-th outcome, from the K-th on");
    app.add_option("--json", json_, "File to write");
  }

  void load() {
    options.activations = Activations::parse(activations_);
    read_part();
    if (bf16_) options.compute.type = ComputeType::kBFloat16;
    configure_process(resolve_threads(options.compute));
    model_.emplace(load_model(model_path_));
    held_out_ = first_of(data_of(groups_path_, true), held_out_examples_, true);
    learned_ = first_of(data_of(data_path_, false), examples_, false);
    if (const int64_t shared = shared_examples(held_out_, learned_); shared > 0)
      fail(ErrorKind::kInvalidArgument, "{} and {} share {} examples", data_path_, groups_path_, shared);
    FinetuneOptions exact = options;
    exact.activations = Activations::kExact;
    full_precision_ = evaluate_finetuned(*model_, *model_, held_out_, exact);
  }

  const Model& model() const { return *model_; }
  const TrainingData& learned() const { return learned_; }

  /// `make` is only called where no file has the outcome; `what` is all that it depends on. Nothing of it means anything
  /// where another part of the study makes it: see missing().
  Outcome outcome(const std::string& name, const Json& what, const std::function<Model()>& make) {
    const bool is_own = asked_++ % parts_ == own_part_;  // whether it is there or not: parts count alike
    const Json key = {{"what", what},
                      {"model", model_hash(*model_)},
                      {"learned", learned_.hash},
                      {"held_out", held_out_.hash},
                      {"options", finetune_options_to_json(options)}};
    Hasher hasher;
    hasher.add(key.dump());
    const std::filesystem::path path = work_ / (hasher.hex().substr(0, 16) + ".json");
    if (!work_.empty() && std::filesystem::exists(path)) return from_json(read_json(path), path.string());
    if (!is_own) {
      ++missing_;
      return {};
    }
    const Outcome made = measure(make());
    fmt::print(stderr, "{}: worst {} KL {:.4f}, all {:.4f}, worst gap {:.4f}\n", name, made.worst_group, made.worst_kl,
               made.mean_kl, made.worst_gap);
    if (!work_.empty()) {
      Json json = {{"name", name}, {"what", what}, {"worst_group", made.worst_group}};
      for (const OutcomeFigure& figure : kOutcomeFigures) json[figure.key] = made.*figure.value;
      write_json(path, json);
    }
    return made;
  }

  /// Trained on by these options from the values that --method finds; `also` is what is learned beside the data.
  Model trained(const Plan& plan, const FinetuneOptions& own, const TrainingData* also = nullptr) const {
    const Model start = quantized(plan, "uniform", own.seed);
    return trained_from(&start, plan, own, also);
  }

  /// The same from the model itself, by a plan that rounds nothing.
  Model trained_exactly(const Plan& plan, const FinetuneOptions& own) const {
    return trained_from(nullptr, plan, own, nullptr);
  }

  /// Another model of the same shape, such as a trained one, by the plan.
  Model rounded(const Model& tuned, const Plan& plan) const {
    Plan by = plan;
    by.method = "nearest";
    return quantize(tuned, {}, by, resolve_threads(options.compute)).in_memory();
  }

  /// Not trained: values searched by --method on examples that `sampling` draws.
  Model quantized(const Plan& plan, const std::string& sampling, uint64_t seed) const {
    Plan by = plan;
    by.method = method;
    return quantize(*model_, calibration(sampling, seed), by, resolve_threads(options.compute)).in_memory();
  }

  /// Outcomes that other parts make and that are not there yet: no table.
  int64_t missing() const { return missing_; }

  void write(const Json& json) const {
    if (!json_.empty()) write_json(json_, json);
  }

 private:
  void read_part() {
    if (part_.empty()) return;
    int64_t part = 0;
    char end = 0;
    if (std::sscanf(part_.c_str(), "%ld/%ld%c", &part, &parts_, &end) != 2 || part < 1 || part > parts_ ||
        work_.empty())
      fail(ErrorKind::kInvalidArgument, "--part {}: expected K/N, such as 2/12, and --work", part_);
    own_part_ = part - 1;
  }

  TrainingData data_of(const std::string& path, bool held_out) const {
    if (!model_->config().is_language_model())
      return apart(training_images(*model_, read_labelled_images(path, class_names_of(*model_)), attribute_,
                                   resolve_threads(options.compute)),
                   held_out);
    const Tokenizer tokenizer(load_tokenizer_of(model_->source().path));
    const std::vector<Document> documents = read_documents(path);
    if (held_out) return held_out_text(document_windows(tokenizer, path, documents, {.context = context_}));
    const auto encoded = encoded_documents(tokenizer, documents, resolve_threads(options.compute));
    return training_text(tokenizer, path, documents_apart(encoded, held_out_), context_);
  }

  TrainingData apart(const TrainingData& images, bool held_out) const {
    return held_out ? images : images_apart(images, held_out_);
  }

  /// The first `count` of all, evenly spaced, or of each group.
  static TrainingData first_of(const TrainingData& data, int64_t count, bool of_each_group) {
    if (count == 0) return data;
    double share = static_cast<double>(count) / static_cast<double>(data.size());
    if (of_each_group) share *= static_cast<double>(data.groups.size());
    return share >= 1 ? data : split_training_data(data, share, 0).second;
  }

  Calibration calibration(const std::string& sampling, uint64_t seed) const {
    const TrainingData chosen = drawn_examples(learned_, sampling, calibration_examples, seed);
    if (model_->config().is_language_model()) {
      EvaluationData text;
      text.name = "drawn " + sampling;
      text.hash = chosen.hash;
      text.context = context_;
      text.windows = chosen.windows;
      text.clusters.resize(chosen.windows.size());
      for (size_t i = 0; i < text.windows.size(); ++i) text.windows[i].cluster = static_cast<int64_t>(i);
      return calibrate(*model_, text, {.threads = options.compute.threads});
    }
    VisionInputs images;
    images.name = "drawn " + sampling;
    images.hash = chosen.hash;
    images.images = chosen.size();
    images.texts = chosen.prompts;
    images.pixels = [pixels = chosen.pixels](int64_t image) {
      const at::Tensor one = pixels[image].contiguous();
      return std::vector<float>(one.data_ptr<float>(), one.data_ptr<float>() + one.numel());
    };
    return calibrate_vision(*model_, images, {.threads = options.compute.threads});
  }

  Model trained_from(const Model* start, const Plan& plan, const FinetuneOptions& own, const TrainingData* also) const {
    const auto [learned, validation] = split_training_data(learned_, 0.05, own.seed);
    return finetune(*model_, plan, calibration("uniform", own.seed),
                    also == nullptr ? learned : joined_training_data(learned, *also), validation, own, nullptr, start)
        .model;
  }

  Outcome measure(const Model& tuned) const {
    const FinetuneEvaluation e = evaluate_finetuned(*model_, tuned, held_out_, options);
    const auto loss = [](const GroupLoss& g) { return g.bytes > 0 ? g.nll_nats_per_byte() : g.nll_nats.mean; };
    Outcome out{.worst_kl = e.worst_kl_nats(),
                .mean_kl = e.all.kl_nats.mean,
                .worst_gap = -INFINITY,
                .mean_gap = loss(e.all) - loss(full_precision_.all),
                .worst_lost = -INFINITY,
                .worst_group = e.worst_group()};
    for (const auto& [name, group] : e.groups) {
      const GroupLoss& before = full_precision_.groups.at(name);
      out.worst_gap = std::max(out.worst_gap, loss(group) - loss(before));
      out.worst_lost = std::max(out.worst_lost, before.right_share.mean - group.right_share.mean);
    }
    return out;
  }

  static Outcome from_json(const Json& json, const std::string& origin) {
    Outcome out;
    for (const OutcomeFigure& figure : kOutcomeFigures) out.*figure.value = json_number(json, figure.key, origin);
    out.worst_group = json_string(json, "worst_group", origin);
    return out;
  }

  std::string model_path_, data_path_, groups_path_, attribute_, part_, activations_ = "exact";
  int64_t parts_ = 1, own_part_ = 0, asked_ = 0, missing_ = 0;
  std::filesystem::path work_, json_;
  int64_t context_ = 512, examples_ = 0, held_out_examples_ = 0;
  bool bf16_ = false;
  std::optional<Model> model_;
  TrainingData learned_, held_out_;
  FinetuneEvaluation full_precision_;
};

}  // namespace vernier
