#include <algorithm>
#include <set>

#include "base/fail.h"
#include "base/json.h"
#include "vernier/images.h"

namespace vernier {

namespace {

constexpr int64_t kLongestSide = 65'535;

/// Defaults of transformers' classes.
ImagePreprocessor defaults_of(const std::string& family) {
  ImagePreprocessor defaults;
  defaults.rescale = 1.0 / 255;
  defaults.mean = defaults.deviation = {0.5, 0.5, 0.5};
  if (family == "CLIP") {
    defaults.shortest_edge = 224;
    defaults.filter = ResizeFilter::kBicubic;
    defaults.crop = {224, 224};
    defaults.mean = {0.48145466, 0.4578275, 0.40821073};
    defaults.deviation = {0.26862954, 0.26130258, 0.27577711};
  } else if (family == "ViT") {
    defaults.exact_size = {224, 224};
    defaults.filter = ResizeFilter::kBilinear;
  } else {  // DeiT
    defaults.exact_size = {256, 256};
    defaults.filter = ResizeFilter::kBicubic;
    defaults.crop = {224, 224};
  }
  return defaults;
}

/// "CLIP" of CLIPImageProcessor, CLIPImageProcessorFast and CLIPFeatureExtractor.
std::string family_of(const Json& json, const std::string& origin) {
  const char* key =
      json_find(json, "image_processor_type") != nullptr ? "image_processor_type" : "feature_extractor_type";
  const std::string type = json_string(json, key, origin);
  for (const char* family : {"CLIP", "ViT", "DeiT"})
    for (const char* ending : {"ImageProcessor", "ImageProcessorFast", "FeatureExtractor"})
      if (type == std::string(family) + ending) return family;
  fail(ErrorKind::kUnsupported, "images: {}: {} is \"{}\"; supported are the image processors of CLIP, ViT and DeiT",
       origin, key, type);
}

bool flag(const Json& json, const char* key, bool otherwise, const std::string& origin) {
  const Json* value = json_find(json, key);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean())
    fail(ErrorKind::kBadFile, "images: {}: key \"{}\": expected true or false, got {}", origin, key,
         value->type_name());
  return value->get<bool>();
}

int64_t side(const Json& json, const char* key, const std::string& origin) {
  return json_int(json, key, "images: " + origin, 1, kLongestSide);
}

/// {"height", "width"}; nothing for another object.
std::optional<ImageSize> rectangle(const Json& size, const std::string& origin) {
  if (json_find(size, "height") == nullptr || size.size() != 2) return std::nullopt;
  return ImageSize{side(size, "width", origin), side(size, "height", origin)};
}

void read_size(const Json& json, const std::string& family, ImagePreprocessor& result, const std::string& origin) {
  const Json* size = json_find(json, "size");
  if (size == nullptr) return;
  result.shortest_edge.reset();
  result.exact_size.reset();
  if (size->is_number()) {  // as files were written before sizes had names
    const int64_t edge = side(json, "size", origin);
    if (family == "CLIP")
      result.shortest_edge = edge;
    else
      result.exact_size = {edge, edge};
  } else if (json_find(*size, "shortest_edge") != nullptr && size->size() == 1) {
    result.shortest_edge = side(*size, "shortest_edge", origin);
  } else {
    result.exact_size = rectangle(*size, origin);
    if (!result.exact_size)
      fail(ErrorKind::kUnsupported, "images: {}: size {}; supported are a number, shortest_edge, and height with width",
           origin, size->dump());
  }
}

void read_crop(const Json& json, ImagePreprocessor& result, const std::string& origin) {
  const Json* size = json_find(json, "crop_size");
  if (size == nullptr) return;
  if (size->is_number()) {
    const int64_t edge = side(json, "crop_size", origin);
    result.crop = {edge, edge};
    return;
  }
  result.crop = rectangle(*size, origin);
  if (!result.crop)
    fail(ErrorKind::kUnsupported, "images: {}: crop_size {}; supported are a number, and height with width", origin,
         size->dump());
}

void read_channels(const Json& json, const char* key, std::array<double, 3>& values, const std::string& origin) {
  const Json* list = json_find(json, key);
  if (list == nullptr) return;
  const auto number = [](const Json& value) { return value.is_number(); };
  if (list->is_number()) {
    values.fill(list->get<double>());
  } else if (list->is_array() && list->size() == 3 && std::all_of(list->begin(), list->end(), number)) {
    values = list->get<std::array<double, 3>>();
  } else {
    fail(ErrorKind::kBadFile, "images: {}: key \"{}\": expected 3 numbers, one for each channel, got {}", origin, key,
         list->dump());
  }
}

/// A step that is not known would change the pixels in silence.
void refuse_other_steps(const Json& json, const std::string& origin) {
  static const std::set<std::string, std::less<>> kRead{"image_processor_type",
                                                        "feature_extractor_type",
                                                        "do_resize",
                                                        "size",
                                                        "resample",
                                                        "do_center_crop",
                                                        "crop_size",
                                                        "do_rescale",
                                                        "rescale_factor",
                                                        "do_normalize",
                                                        "image_mean",
                                                        "image_std"};
  // Images are always made RGB, and the layout is ours.
  static const std::set<std::string, std::less<>> kHarmless{
      "processor_class", "do_convert_rgb", "_valid_processor_keys", "data_format",     "input_data_format",
      "return_tensors",  "device",         "default_to_square",     "image_seq_length"};
  for (const auto& [key, value] : json.items()) {
    if (kRead.contains(key) || kHarmless.contains(key) || value.is_null() || value == Json(false)) continue;
    fail(ErrorKind::kUnsupported, "images: {}: key \"{}\" is {}, a step that is not known", origin, key, value.dump());
  }
}

}  // namespace

ImagePreprocessor parse_image_preprocessor(std::string_view text, const std::string& origin) {
  const Json json = parse_json(text, origin);
  if (!json.is_object()) fail(ErrorKind::kBadFile, "images: {}: expected an object, got {}", origin, json.type_name());
  const std::string family = family_of(json, origin);
  refuse_other_steps(json, origin);
  ImagePreprocessor result = defaults_of(family);
  read_size(json, family, result, origin);
  if (!flag(json, "do_resize", true, origin)) result.shortest_edge.reset(), result.exact_size.reset();
  if (json_find(json, "resample") != nullptr)
    result.filter = static_cast<ResizeFilter>(json_int(json, "resample", "images: " + origin, 0, 5));
  read_crop(json, result, origin);
  if (!flag(json, "do_center_crop", family != "ViT", origin)) result.crop.reset();
  if (json_find(json, "rescale_factor") != nullptr)
    result.rescale = json_number(json, "rescale_factor", "images: " + origin);
  if (!flag(json, "do_rescale", true, origin)) result.rescale = 1;
  read_channels(json, "image_mean", result.mean, origin);
  read_channels(json, "image_std", result.deviation, origin);
  if (!flag(json, "do_normalize", true, origin)) result.mean = {0, 0, 0}, result.deviation = {1, 1, 1};
  if (std::count(result.deviation.begin(), result.deviation.end(), 0) > 0)
    fail(ErrorKind::kBadFile, "images: {}: key \"image_std\": a standard deviation is 0", origin);
  return result;
}

ImagePreprocessor load_image_preprocessor(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "preprocessor_config.json";
  if (!std::filesystem::exists(path))
    fail(ErrorKind::kIo, "images: {} does not exist; it says how a vision model's images are resized and normalized",
         path.string());
  const Json json = read_json(path);
  return parse_image_preprocessor(json.dump(), path.string());
}

}  // namespace vernier
