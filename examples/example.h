#pragma once

// What all examples share, so that each shows one stage: a main that checks the arguments and reports errors, and text
// files. Everything else comes from <vernier/*.h>.

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "vernier/compute.h"
#include "vernier/error.h"

namespace example {

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw vernier::Error(vernier::ErrorKind::kIo, path + ": cannot be read");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void write_text(const std::string& path, const std::string& text) {
  if (!(std::ofstream(path) << text << '\n')) throw vernier::Error(vernier::ErrorKind::kIo, path + ": cannot be written");
}

/// Calls body(argv) when all arguments named in `usage` ("MODEL TEXT") are there.
template <class Body>
int run(int argc, char** argv, const std::string& usage, Body&& body) {
  std::istringstream names(usage);
  int wanted = 1;
  for (std::string name; names >> name;) ++wanted;
  if (argc != wanted) {
    std::fprintf(stderr, "usage: %s %s\n", argv[0], usage.c_str());
    return 2;
  }
  try {
    vernier::configure_process(vernier::resolve_threads({}));
    body(argv);
    return 0;
  } catch (const vernier::Error& e) {  // the only exception that is meant to leave the library
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}

}  // namespace example
