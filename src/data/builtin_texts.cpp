#include "data/builtin_texts.h"

namespace vernier {

std::span<const BuiltinText> builtin_calibration_texts() {
  static const BuiltinText kTexts[] = {
      {"languages", builtin_calibration_languages_text()},
      {"code", builtin_calibration_code_text()},
      {"prose", builtin_calibration_prose_text()},
      {"dialogue", builtin_calibration_dialogue_text()},
      {"mathematics", builtin_calibration_mathematics_text()},
  };
  return kTexts;
}

}  // namespace vernier
