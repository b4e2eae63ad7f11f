#pragma once

// What a stream leads to.

#include <cstdio>

namespace vernier {

bool is_terminal(std::FILE* stream);

/// Columns of the terminal that `stream` writes to: COLUMNS where it is set to a number, else what the terminal says.
/// 0 for files and pipes, which have no width, and for a terminal that does not say.
int terminal_width(std::FILE* stream);

}  // namespace vernier
