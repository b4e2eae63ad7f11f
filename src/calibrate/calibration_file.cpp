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

constexpr std::string_view kParts[] = {"mean_square", "mean_abs", "abs_max"};

std::vector<float>& part_of(ChannelStatistics& channel, size_t part) {
  return part == 0 ? channel.mean_square : part == 1 ? channel.mean_abs : channel.abs_max;
}

std::optional<SiteId> find_site(std::string_view name) {
  try {
    return parse_site(name);
  } catch (const Error&) {  // the file's own message says more
    return std::nullopt;
  }
}

int64_t metadata_int(const SafetensorsFile& file, const std::string& key) {
  const auto it = file.metadata().find(key);
  int64_t value = 0;
  const std::string& text = it == file.metadata().end() ? key : it->second;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < 0)
    fail(ErrorKind::kBadFile, "{}: metadata \"{}\": expected a count; is this a calibration file?",
         file.path().string(), key);
  return value;
}

std::string metadata_text(const SafetensorsFile& file, const std::string& key) {
  const auto it = file.metadata().find(key);
  return it == file.metadata().end() ? "" : it->second;
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
    for (size_t part = 0; part < std::size(kParts); ++part) {
      const std::vector<float>& data = part_of(const_cast<ChannelStatistics&>(channel), part);
      writer.add(fmt::format("{}.{}", name_of(site), kParts[part]), DType::kF32, {static_cast<int64_t>(data.size())});
      values.emplace_back(data);
    }
  writer.write(path, [&](size_t index, const ByteSink& append) { append(std::as_bytes(values[index])); });
}

Calibration load_calibration(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  Calibration calibration;
  if (metadata_int(file, "schema_version") != calibration.schema_version)
    fail(ErrorKind::kBadFile, "{}: calibration of schema {}, expected {}; calibrate again", path.string(),
         metadata_int(file, "schema_version"), calibration.schema_version);
  calibration.model_hash = metadata_text(file, "model_hash");
  calibration.data_name = metadata_text(file, "data_name");
  calibration.data_hash = metadata_text(file, "data_hash");
  calibration.windows = metadata_int(file, "windows");
  calibration.tokens = metadata_int(file, "tokens");
  for (const SafetensorsEntry& entry : file.entries()) {
    const auto dot = entry.name.rfind('.');
    const auto site = dot == std::string::npos ? std::nullopt : find_site(entry.name.substr(0, dot));
    const auto* part = std::find(std::begin(kParts), std::end(kParts), entry.name.substr(dot + 1));
    if (!site || part == std::end(kParts) || entry.dtype != DType::kF32 || entry.shape.size() != 1)
      fail(ErrorKind::kBadFile, "{}: {}: not a channel statistic", path.string(), entry.name);
    std::vector<float>& values = part_of(calibration.sites[*site], static_cast<size_t>(part - kParts));
    values.resize(static_cast<size_t>(entry.shape[0]));
    std::memcpy(values.data(), entry.data.data(), entry.data.size());
  }
  return calibration;
}

}  // namespace vernier
