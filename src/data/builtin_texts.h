#pragma once

// Short texts inside the program, for runs that name none (data/NOTICE.md says where they are from), of documents that do
// not overlap. Made from data/builtin by cmake/embed_text.cmake.

#include <span>
#include <string_view>

namespace vernier {

/// A domain to calibrate on.
struct BuiltinText {
  std::string_view name, text;
};
/// Technical text in ten languages, code, prose, dialogue and mathematics.
std::span<const BuiltinText> builtin_calibration_texts();

std::string_view builtin_evaluation_text();  ///< plain text
std::string_view builtin_groups_text();      ///< JSON lines {doc, group, text}

// The files of builtin_calibration_texts().
std::string_view builtin_calibration_languages_text();
std::string_view builtin_calibration_code_text();
std::string_view builtin_calibration_prose_text();
std::string_view builtin_calibration_dialogue_text();
std::string_view builtin_calibration_mathematics_text();

}  // namespace vernier
