#pragma once

// Options that mean nothing for the model at hand: refused, not passed over.

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>
#include <vector>

namespace vernier {

/// "`stage`: --context and --score are `why`", of those `names` that the command line has.
/// @throws Error{kInvalidArgument} where it has any
void refuse_given(const char* stage, const CLI::App& command, const std::vector<const char*>& names,
                  const std::string& why);

/// The same of options that are of texts, and of those of images, for a model of the other kind. `seen`: its name.
void refuse_text_options(const char* stage, const CLI::App& command, std::initializer_list<const char*> names,
                         const std::string& seen);
void refuse_image_options(const char* stage, const CLI::App& command, const std::string& reader);

}  // namespace vernier
