// Which files an option that names an artefact takes.

#include <gtest/gtest.h>

#include "base/output_file.h"
#include "cli/console.h"
#include "support/expect_error.h"
#include "support/scratch.h"

namespace vernier {
namespace {

TEST(ReadArtefact, OneOfAnotherCommandIsNamed) {
  const std::filesystem::path path = scratch_path("read_artefact.json");
  const auto refused = [&](const char* content, const char* stage, const std::vector<std::string>& parts) {
    write_file(path, content);
    expect_error(ErrorKind::kInvalidArgument, parts, [&] { read_artefact(path.string(), stage); });
  };
  refused(R"({"kind": "screen"})", "plan", {"read_artefact.json", "`vernier screen`", "`vernier plan`"});
  refused(R"({"kind": "plan"})", "diagnose", {"`vernier plan`", "`vernier diagnose`"});
  refused(R"({"kind": "damage"})", "screen", {"`vernier run`", "`vernier screen`"});
  refused(R"({"kind": "diagnosis"})", "screen", {"`vernier diagnose`"});
  refused(R"({"noise_floor_kl_nats": 0})", "screen", {"`vernier diagnose`"});  // of before they had a kind
  refused(R"({"kfac_rows": 4})", "plan", {"`vernier screen`"});
  write_file(path, R"({"kind": "plan", "label": "x"})");
  EXPECT_EQ(read_artefact(path.string(), "plan")["label"], "x");
  for (const char* unknown : {"[]", "{}", R"({"kind": 3})"}) {  // its reader says what it lacks
    write_file(path, unknown);
    EXPECT_NO_THROW(read_artefact(path.string(), "plan")) << unknown;
  }
  std::filesystem::remove(path);
  expect_error(ErrorKind::kIo, {"make it with `vernier plan"}, [&] { read_artefact(path.string(), "plan"); });
  const std::filesystem::path folder = scratch_path("read_artefact"), tensors = folder / "calibration.safetensors";
  std::filesystem::create_directories(folder);
  write_file(tensors, "x");
  expect_error(ErrorKind::kInvalidArgument, {"holds tensors"}, [&] { read_artefact(tensors.string(), "plan"); });
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace vernier
