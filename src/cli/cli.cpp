#include "cli/cli.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include "cli/subcommands.h"

namespace vernier {

int run_cli(int argc, const char* const* argv) {
  static constexpr AddSubcommand kAll[] = {add_run,      add_inspect,  add_doctor,   add_calibrate, add_activations,
                                           add_groups,   add_diagnose, add_screen,   add_plan,      add_quantize,
                                           add_export,   add_evaluate, add_finetune, add_report,    add_logits,
                                           add_tokenize, add_protect};
  return run_subcommands(argc, argv, kAll, [](const std::exception& e) -> std::optional<std::string> {
    const auto* error = dynamic_cast<const c10::Error*>(&e);
    if (error == nullptr) return std::nullopt;
    return fmt::format("tensor library: {}", error->what_without_backtrace());
  });
}

}  // namespace vernier
