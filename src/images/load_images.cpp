#include <algorithm>

#include "base/fail.h"
#include "base/mapped_file.h"
#include "base/shared_progress.h"
#include "ops/parallel.h"
#include "vernier/decode_images.h"

namespace vernier {

Image read_image(const std::filesystem::path& path) {
  const MappedFile file(path);
  constexpr size_t kLargest = size_t{1} << 30;
  if (file.bytes().size() > kLargest)
    fail(ErrorKind::kBadFile, "images: {}: {} bytes, expected at most {}", path.string(), file.bytes().size(),
         kLargest);
  return decode_image(file.bytes(), path.string());
}

std::vector<float> load_pixel_values(std::span<const std::filesystem::path> paths,
                                     const ImagePreprocessor& preprocessor, int threads, ProgressSink* progress) {
  const auto size = preprocessor.output_size();
  if (!size)
    fail(ErrorKind::kInvalidArgument,
         "images: without a crop or an exact size every image has another one; expected crop_size or height and width");
  const auto values = static_cast<size_t>(3 * size->width * size->height);
  std::vector<float> batch(paths.size() * values);
  if (progress != nullptr) progress->begin("read images", static_cast<int64_t>(paths.size()), "images");
  SharedProgress shared(progress);
  parallel_for(static_cast<int64_t>(paths.size()), threads, [&](int64_t item, int) {
    const auto i = static_cast<size_t>(item);
    const std::vector<float> pixels = pixel_values(read_image(paths[i]), preprocessor);
    std::copy(pixels.begin(), pixels.end(), batch.begin() + static_cast<int64_t>(i * values));
    shared.add(1);
  });
  if (progress != nullptr) progress->end();
  return batch;
}

}  // namespace vernier
