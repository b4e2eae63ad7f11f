#pragma once

// What a refusal must look like: its kind, and the parts of its message that tell what is wrong.
//
//   expect_error(ErrorKind::kBadFile, {"config.json", "layer_types"}, [&] { parse_config(json, "config.json"); });

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "vernier/error.h"

namespace vernier {

/// `run` throws Error of this kind, with a message that holds all of `parts`. A failure names the caller's line.
template <class Run>
void expect_error(ErrorKind kind, const std::vector<std::string>& parts, Run&& run, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {  // clang-tidy 14: no source_location
  const ::testing::ScopedTrace trace(file, line, "expect_error");
  try {
    run();
    ADD_FAILURE() << "expected an error that says " << ::testing::PrintToString(parts);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    for (const std::string& part : parts) EXPECT_THAT(e.what(), ::testing::HasSubstr(part));
  }
}

}  // namespace vernier
