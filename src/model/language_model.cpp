#include "model/language_model.h"

#include "base/fail.h"

namespace vernier {

void require_language_model(const ModelConfig& config, const std::string& model_name, std::string_view stage) {
  if (config.is_language_model()) return;
  fail(ErrorKind::kUnsupported,
       "{}: {} ({}) answers for whole images; expected a language model, whose next tokens are measured; "
       "run, calibrate, screen, diagnose, plan, quantize, finetune, groups and evaluate --reliability take it with "
       "images, and export writes it with --target huggingface",
       stage, model_name, config.family);
}

}  // namespace vernier
