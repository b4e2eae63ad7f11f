#pragma once

// What a stream leads to.

#include <cstdio>
#include <string>
#include <string_view>

namespace vernier {

bool is_terminal(std::FILE* stream);

/// The text without what would move a cursor or set a title: control characters but line ends and tabs as \x1b. Names in
/// files from outside come into messages.
std::string plainly(std::string_view text);

/// To a stream of messages, at once. What cannot be written, as on a full disk, is no reason to end work of hours.
void say(std::FILE* stream, std::string_view text);

/// Columns of the terminal that `stream` writes to: COLUMNS where it is set to a number, else what the terminal says.
/// 0 for files and pipes, which have no width, and for a terminal that does not say.
int terminal_width(std::FILE* stream);

}  // namespace vernier
