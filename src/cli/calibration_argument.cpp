#include "cli/calibration_argument.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/fail.h"

namespace vernier {

bool is_safetensors(const std::filesystem::path& path) {
  if (path.extension() == ".safetensors") return true;
  if (std::error_code code; !std::filesystem::is_regular_file(path, code)) return false;  // what a pipe gives is gone
  std::array<char, 9> start{};
  if (!std::ifstream(path, std::ios::binary).read(start.data(), start.size())) return false;
  uint64_t header = 0;
  std::memcpy(&header, start.data(), sizeof header);
  std::error_code code;
  const auto size = std::filesystem::file_size(path, code);
  return !code && start[8] == '{' && header < size;
}

CLI::Option* CalibrationArgument::add(CLI::App& app, CommandFiles& files) {
  return add_input(app, files, "--calibration", path, "Artefact of `vernier calibrate`");
}

Calibration CalibrationArgument::load() const {
  if (path.empty())
    fail(ErrorKind::kInvalidArgument,
         "static ranges are of a calibration: give --calibration, the artefact of `vernier calibrate`");
  if (!is_safetensors(path))
    fail(ErrorKind::kInvalidArgument,
         "--calibration {}: expected the artefact of `vernier calibrate`; make it from a text with "
         "`vernier calibrate MODEL --calibration-text {} -o calibration.safetensors`",
         path, path);
  return load_calibration(path);
}

ActivationRanges CalibrationArgument::ranges(const std::vector<const Model*>& models, Console& console) const {
  if (path.empty()) return {};
  const Calibration calibration = load();
  if (std::ranges::none_of(
          models, [&](const Model* model) { return model != nullptr && model_hash(*model) == calibration.model_hash; }))
    console.progress.warn(fmt::format("{} is of another model than {}: its ranges are taken all the same", path,
                                      models.front()->source().name));
  return activation_ranges(calibration);
}

void CalibrationTextArgument::add(CLI::App& app, CommandFiles& io, const std::string& help) {
  add_input(app, io, "--calibration-text", files, help);
  add_option(app, "--calibration", artefact_)->group("");  // not in the help
}

void CalibrationTextArgument::check() const {
  if (!artefact_.empty())
    fail(ErrorKind::kInvalidArgument,
         "--calibration {}: this subcommand makes the calibration; --calibration-text names the text to make it from",
         artefact_.front());
  for (const std::string& file : files)
    if (is_safetensors(file))
      fail(
          ErrorKind::kInvalidArgument,
          "--calibration-text {}: expected text, got safetensors; --calibration of diagnose, quantize and export takes "
          "the artefact of `vernier calibrate`",
          file);
}

}  // namespace vernier
