#include "evaluate/model_preprocessor.h"

#include "base/fail.h"

namespace vernier {

ImagePreprocessor preprocessor_of(const Model& model) {
  ImagePreprocessor preprocessor = load_image_preprocessor(model.source().path);
  const ModelConfig& config = model.config();
  const int64_t side = (config.stacks.empty() ? model : stack_of(model, Stack::kImage)).config().patches.image_size;
  if (const std::optional<ImageSize> made = preprocessor.output_size(); made && *made != ImageSize{side, side})
    fail(ErrorKind::kBadFile,
         "{}/preprocessor_config.json: makes images of {} x {}, and {} takes {} x {}; mend its size or crop_size",
         model.source().path.string(), made->width, made->height, model.source().name, side, side);
  return preprocessor;
}

}  // namespace vernier
