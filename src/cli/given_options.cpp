#include "cli/given_options.h"

#include <fmt/format.h>

#include "base/fail.h"

namespace vernier {

void refuse_given(const char* stage, const CLI::App& command, const std::vector<const char*>& names,
                  const std::string& why) {
  std::string given;
  size_t count = 0;
  for (const char* name : names)
    if (const CLI::Option* option = command.get_option_no_throw(name); option != nullptr && option->count() > 0) {
      given += fmt::format("{}{}", count == 0 ? "" : ", ", name);
      ++count;
    }
  if (count > 0) fail(ErrorKind::kInvalidArgument, "{}: {} {} {}", stage, given, count > 1 ? "are" : "is", why);
}

void refuse_text_options(const char* stage, const CLI::App& command, std::initializer_list<const char*> names,
                         const std::string& seen) {
  refuse_given(stage, command, names, fmt::format("of texts; {} sees images", seen));
}

void refuse_image_options(const char* stage, const CLI::App& command, const std::string& reader) {
  refuse_given(
      stage, command,
      {"--images", "--classes", "--prompts", "--ood", "--corruptions", "--corruption-images", "--feature-images",
       "--attacks", "--attack-images", "--attack-radii", "--attack-steps", "--attack-restarts", "--square-queries"},
      fmt::format("of models that see; {} reads", reader));
}

}  // namespace vernier
