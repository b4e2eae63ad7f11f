#pragma once

// Translates the expressions of tokenizer.json, which are Oniguruma's (Ruby syntax), into PCRE2's dialect.
// The two agree on nearly everything; where they do not, one of them would silently cut words elsewhere.

#include <string>
#include <string_view>

namespace vernier {

/// @throws Error{kUnsupported} on what PCRE2 cannot say (class intersections, negated nested classes, callouts)
std::string to_pcre2_syntax(std::string_view pattern);

/// A regular expression that matches exactly `text`.
std::string escape_pattern(std::string_view text);

}  // namespace vernier
