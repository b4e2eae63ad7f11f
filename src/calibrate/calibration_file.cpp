#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/fail.h"
#include "format/safetensors_file.h"
#include "format/safetensors_writer.h"
#include "vernier/calibrate.h"
#include "vernier/version.h"

namespace vernier {

namespace {

struct Part {
  std::string_view name;
  std::vector<float> ChannelStatistics::*values;
};
constexpr Part kParts[] = {{"mean_square", &ChannelStatistics::mean_square},
                           {"mean_abs", &ChannelStatistics::mean_abs},
                           {"abs_max", &ChannelStatistics::abs_max}};

std::optional<SiteId> find_site(std::string_view name) {
  try {
    return parse_site(name);
  } catch (const Error&) {  // the file's own message says more
    return std::nullopt;
  }
}

const std::string& metadata_text(const SafetensorsFile& file, const std::string& key) {
  const auto it = file.metadata().find(key);
  if (it == file.metadata().end())
    fail(ErrorKind::kBadFile, "{}: metadata \"{}\" is missing; is this a calibration file?", file.path().string(), key);
  return it->second;
}

int64_t metadata_count(const SafetensorsFile& file, const std::string& key) {
  const std::string& text = metadata_text(file, key);
  int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < 0)
    fail(ErrorKind::kBadFile, "{}: metadata \"{}\": expected a count, got \"{}\"", file.path().string(), key,
         text.substr(0, 40));
  return value;
}

/// Site and statistic of an entry "L3.ffn_input.mean_square". @throws Error{kBadFile} for any other
std::pair<SiteId, const Part*> place_of(const SafetensorsEntry& entry, const std::string& origin) {
  const size_t dot = entry.name.rfind('.');
  if (dot != std::string::npos && entry.dtype == DType::kF32 && entry.shape.size() == 1) {
    const auto site = find_site(std::string_view(entry.name).substr(0, dot));
    const auto* part = std::ranges::find(kParts, std::string_view(entry.name).substr(dot + 1), &Part::name);
    if (site && part != std::end(kParts)) return {*site, part};
  }
  fail(ErrorKind::kBadFile, "{}: {}: expected a statistic per channel, such as {}.{}, in float32", origin, entry.name,
       name_of(SiteId{Site::kAttnInput, 0}), kParts[0].name);
}

constexpr std::string_view kTokens = "text.tokens", kWindows = "text.windows", kImages = "images";

std::vector<int32_t> integers(const SafetensorsFile& file, const SafetensorsEntry& entry, size_t width) {
  if (entry.dtype != DType::kI32 || entry.shape.size() != width)
    fail(ErrorKind::kBadFile, "{}: {}: expected int32 with {} dimensions", file.path().string(), entry.name, width);
  std::vector<int32_t> values(entry.data.size() / sizeof(int32_t));
  std::memcpy(values.data(), entry.data.data(), entry.data.size());
  return values;
}

/// The windows of "text.tokens", whose lengths and parts are the rows of "text.windows".
std::vector<CalibrationWindow> text_of(const SafetensorsFile& file) {
  std::vector<int32_t> all, windows;
  for (const SafetensorsEntry& entry : file.entries()) {
    if (entry.name == kTokens) all = integers(file, entry, 1);
    if (entry.name == kWindows) windows = integers(file, entry, 2);
  }
  std::span<const int32_t> tokens = all;
  std::vector<CalibrationWindow> text;
  for (size_t w = 0; w + 1 < windows.size(); w += 2) {
    const int32_t length = windows[w], part = windows[w + 1];
    if (length < 1 || static_cast<size_t>(length) > tokens.size() || part < 0)
      fail(ErrorKind::kBadFile, "{}: {}: window {} of {} tokens, {} are left", file.path().string(), kWindows, w / 2,
           length, tokens.size());
    text.push_back({{tokens.begin(), tokens.begin() + length}, part});
    tokens = tokens.subspan(static_cast<size_t>(length));
  }
  if (!tokens.empty())
    fail(ErrorKind::kBadFile, "{}: {}: {} tokens belong to no window", file.path().string(), kTokens, tokens.size());
  return text;
}

at::Tensor images_of(const SafetensorsFile& file) {
  const SafetensorsEntry* entry = file.find(std::string(kImages));
  if (entry == nullptr) return {};
  const auto too_small = [](int64_t size) { return size < 1; };
  if (entry->dtype != DType::kF16 || entry->shape.size() != 4 || std::ranges::any_of(entry->shape, too_small))
    fail(ErrorKind::kBadFile, "{}: {}: expected float16 [count, channels, side, side]", file.path().string(), kImages);
  at::Tensor images = at::empty(entry->shape, at::kHalf);
  std::memcpy(images.data_ptr(), entry->data.data(), entry->data.size());
  if (!images.isfinite().all().item<bool>())
    fail(ErrorKind::kBadFile, "{}: {}: a value is NaN or infinite; calibrate again", file.path().string(), kImages);
  return images;
}

}  // namespace

void save_calibration(const Calibration& calibration, const std::filesystem::path& path) {
  SafetensorsWriter writer;
  writer.set_metadata("schema_version", std::to_string(calibration.schema_version));
  writer.set_metadata("tool_version", VERNIER_VERSION);
  writer.set_metadata("model_hash", calibration.model_hash);
  writer.set_metadata("data_name", calibration.data_name);
  writer.set_metadata("data_hash", calibration.data_hash);
  writer.set_metadata("windows", std::to_string(calibration.windows));
  writer.set_metadata("tokens", std::to_string(calibration.tokens));
  std::vector<std::span<const float>> values;
  for (const auto& [site, channel] : calibration.sites)
    for (const Part& part : kParts) {
      const std::vector<float>& data = channel.*part.values;
      writer.add(fmt::format("{}.{}", name_of(site), part.name), DType::kF32, {static_cast<int64_t>(data.size())});
      values.emplace_back(data);
    }
  std::vector<int32_t> tokens, windows;
  for (const CalibrationWindow& window : calibration.text) {
    tokens.insert(tokens.end(), window.tokens.begin(), window.tokens.end());
    windows.insert(windows.end(), {static_cast<int32_t>(window.tokens.size()), static_cast<int32_t>(window.part)});
  }
  if (!windows.empty()) {
    writer.add(std::string(kTokens), DType::kI32, {static_cast<int64_t>(tokens.size())});
    writer.add(std::string(kWindows), DType::kI32, {static_cast<int64_t>(windows.size() / 2), 2});
  }
  std::vector<std::span<const std::byte>> parts;
  for (const auto& statistic : values) parts.push_back(std::as_bytes(statistic));
  if (!windows.empty())
    for (const auto* integers : {&tokens, &windows}) parts.push_back(std::as_bytes(std::span(*integers)));
  const at::Tensor images = calibration.images.defined() ? calibration.images.contiguous() : at::Tensor();
  if (images.defined()) {
    writer.add(std::string(kImages), DType::kF16, images.sizes().vec());
    parts.emplace_back(static_cast<const std::byte*>(images.data_ptr()), images.nbytes());
  }
  writer.write(path, [&](size_t index, const ByteSink& append) { append(parts[index]); });
}

Calibration load_calibration(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  Calibration calibration;
  const int64_t schema = metadata_count(file, "schema_version");
  if (schema != calibration.schema_version)
    fail(ErrorKind::kBadFile, "{}: calibration of schema {}, expected {}; calibrate again", path.string(), schema,
         calibration.schema_version);
  calibration.model_hash = metadata_text(file, "model_hash");
  calibration.data_name = metadata_text(file, "data_name");
  calibration.data_hash = metadata_text(file, "data_hash");
  calibration.windows = metadata_count(file, "windows");
  calibration.tokens = metadata_count(file, "tokens");
  calibration.text = text_of(file);
  calibration.images = images_of(file);
  for (const SafetensorsEntry& entry : file.entries()) {
    if (entry.name == kTokens || entry.name == kWindows || entry.name == kImages) continue;
    const auto [site, part] = place_of(entry, path.string());
    std::vector<float>& values = calibration.sites[site].*part->values;
    values.resize(static_cast<size_t>(entry.shape[0]));
    std::memcpy(values.data(), entry.data.data(), entry.data.size());
  }
  for (const auto& [site, channel] : calibration.sites)
    for (const Part& part : kParts)
      if ((channel.*part.values).size() != channel.mean_square.size())
        fail(ErrorKind::kBadFile, "{}: {}.{}: expected {} channels as in mean_square, got {}", path.string(),
             name_of(site), part.name, channel.mean_square.size(), (channel.*part.values).size());
  return calibration;
}

}  // namespace vernier
