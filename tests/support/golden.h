#pragma once

// Text that people review: compared with tests/golden/NAME, rewritten when VERNIER_UPDATE_GOLDEN=1 is set (then read
// the diff).
//
//   expect_golden("plan/recipe.txt", recipe_text(plan));

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/output_file.h"

namespace vernier {

inline void expect_golden(const std::string& name, const std::string& actual) {
  const std::filesystem::path path = std::filesystem::path(VERNIER_SOURCE_DIR) / "tests" / "golden" / name;
  const char* update = std::getenv("VERNIER_UPDATE_GOLDEN");
  if (update != nullptr && std::string(update) == "1") {
    write_file(path, actual);
    return;
  }
  ASSERT_TRUE(std::filesystem::exists(path))
      << path << " is missing; run once with VERNIER_UPDATE_GOLDEN=1 and review it";
  EXPECT_EQ(read_file(path), actual) << "differs from " << path
                                     << "; if that is meant, rerun with VERNIER_UPDATE_GOLDEN=1";
}

}  // namespace vernier
