#pragma once

// The program as a function, so that tests and other tools can call it.

namespace vernier {

/// Exit code: 0 ok, 1 failed, 2 usage, 3 budget infeasible, 4 bad input file.
int run_cli(int argc, const char* const* argv);

}  // namespace vernier
