#pragma once

// The one place where the version is written; CMake reads it and artefacts record it.

#define VERNIER_VERSION_MAJOR 0
#define VERNIER_VERSION_MINOR 1
#define VERNIER_VERSION_PATCH 0
#define VERNIER_VERSION "0.1.0"
