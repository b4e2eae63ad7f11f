#pragma once

// What the examples of the public headers find declared. They are compiled and never run, so that nothing is defined.

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vernier/vernier.h"

namespace vernier {

template <class... Values>
void print(const Values&...);

extern const std::string text;
extern const Tokenizer tokenizer;
extern const TokenizerModel tokenizer_model;
extern const Model model, quantized;
extern const EvaluationData data, windows;
extern const Calibration calibration;
extern const DamageTable table;
extern const Diagnosis diagnosis;
extern const Plan plan;
extern const ModelConfig config;
extern const Scheme scheme;
extern const Evaluation on_text, evaluation;
extern const Scores scores;
extern const TargetRules rules;
extern const TensorFacts facts;
extern const std::vector<TensorFacts> all_facts;
extern const int threads;
extern const Limit limit;
extern const Screen screened;
extern const uint64_t matrix_bytes;
extern const std::vector<std::string> class_names;
extern const std::vector<double> log_likelihoods;
extern const std::vector<int32_t> labels;
extern const Reliability reliability;
extern const at::Tensor pictures, picture_labels;
extern const std::vector<float> logits, quantized_logits;
extern const GroupAnalysis analysis;
extern const Image image;
extern const ImagePreprocessor preprocessor;
extern const std::vector<std::filesystem::path> paths;

// One matrix, its input channels, its stored bytes.
extern const int64_t rows, cols;
extern const struct Weight {
  operator const at::Tensor&() const;
  operator std::span<const float>() const;
} weight;
extern const std::vector<float> importance;
extern const std::vector<std::byte> bytes;

// A problem of the planner.
extern const std::vector<PlanItem> items;
extern const std::vector<std::vector<size_t>> tied;
extern const uint64_t uniform_bytes, parameters, bytes_16bit;

}  // namespace vernier
