#pragma once

// How the values that a scheme stores are chosen: one row per method, named by a plan.
//
//   const ValueSearch& search = find_value_search("importance");
//   std::vector<std::byte> bytes = search.run({scheme, weight, importance, threads, "L3.ffn_down"}).bytes;

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vernier/calibrate.h"
#include "vernier/scheme.h"

namespace vernier {

/// What a search is given of one matrix.
struct SearchInput {
  const Scheme& scheme;
  const at::Tensor& weight;              ///< [rows, cols]
  const std::vector<float>& importance;  ///< mean square of each input channel [cols]; empty where nothing is known
  int threads = 1;                       ///< results do not depend on it
  std::string what;                      ///< for messages
  const InputGrams* grams = nullptr;     ///< nullptr where nothing is known: then searched as "importance" does
  /// Second moments of gradients by what it puts out, [rows, rows] by part; nullptr where nothing is known: rows alike.
  const InputGrams* output_grams = nullptr;
  /// Whether `auto` may draw ranges in so that weights are cut off. Of a model that sees it makes errors at outputs smaller and
  /// those of the answers larger (docs/values.md).
  bool cuts_off = true;
};

/// What a search found.
struct SearchedValues {
  std::vector<std::byte> bytes;  ///< Scheme::bytes(rows, cols) many, which decode() reads
  /// By part of the calibration's text, tr(D E G E') of values that were searched without it: what bytes, which are made from
  /// all of it, leave on other text. Empty where the search judges on nothing that it was not made from.
  std::vector<double> held_out = {};
};

/// How roundings of a layer are learned: signed gradients at a rate that falls linearly from 1 / steps, in levels.
struct LearningSchedule {
  int steps = 200;
  int64_t windows = 8;  ///< of the calibration's text, at each step
  uint64_t seed = 0;    ///< of their order
};

struct ValueSearch {
  /// What of a calibration it needs beside the weights; Gram matrices are made from its text, or images.
  enum class Needs { kNothing, kImportance, kGram };
  /// How scales of a matrix' columns are chosen that what makes its input takes over; the model's function stays.
  enum class Folding {
    kNone,
    kAwq,      ///< the exponent of least error on the calibration text
    kSmooth,   ///< largest input against largest weight, halfway
    kGuarded,  ///< the exponent of least error on parts of the text that the scales were not made from, if all agree
  };

  std::string name;
  std::string about;   ///< one clause, for help texts
  std::string source;  ///< the paper or program that it follows
  Needs needs = Needs::kNothing;
  Folding folding = Folding::kNone;
  bool uses_outputs = false;  ///< SearchInput::output_grams: a backward pass over some of the text, of language models
  bool judges_held_out = false;  ///< SearchedValues::held_out, where the text has several parts
  bool corrects_biases = false;  ///< those that are added to a matrix' outputs, for what its error adds on average
  /// What `run` finds of a layer's matrices learns together from there, each layer on what those before it became.
  /// @cost memory: all layers in their schemes, once the last is asked for
  std::optional<LearningSchedule> learns = {};
  /// @throws Error{kInvalidArgument} naming `what` when the shape does not fit or a value is not finite
  SearchedValues (*run)(const SearchInput& input) = nullptr;
};

const std::vector<ValueSearch>& value_searches();
/// @throws Error{kInvalidArgument} that lists what exists
const ValueSearch& find_value_search(const std::string& name);

}  // namespace vernier
