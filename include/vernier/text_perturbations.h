#pragma once

// What people do to text without meaning to: letters in the wrong case, typing errors, blanks, letters that look alike.
//
//   const std::string careless = perturb_text("The cat sat.", find_text_perturbation("typos"), 3, 1);

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vernier {

struct TextPerturbation {
  std::string_view key, name, meaning;
  std::array<double, 5> rates;  ///< share of its places that are changed, by severity 1 to 5
};

/// Case, typos, whitespace, homoglyphs.
const std::vector<TextPerturbation>& text_perturbations();
/// @throws Error{kInvalidArgument} listing those that exist
const TextPerturbation& find_text_perturbation(std::string_view key);

/// Only places in ASCII are changed, so that other letters stay as they are and UTF-8 stays UTF-8. Equal seeds give equal
/// texts on every machine. @throws Error{kInvalidArgument} for severities other than 1 to 5
std::string perturb_text(std::string_view text, const TextPerturbation& perturbation, int severity, uint64_t seed);

}  // namespace vernier
