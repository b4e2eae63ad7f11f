#pragma once

// The subcommands: one function in one file each, which declares it and what it does. Those that need no tensors are a
// program of their own, so that looking at a file does not wait for the tensor library.

#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "cli/console.h"

namespace vernier {

void add_run(CLI::App& app, Console& console);
void add_doctor(CLI::App& app, Console& console);
void add_calibrate(CLI::App& app, Console& console);
void add_activations(CLI::App& app, Console& console);
void add_groups(CLI::App& app, Console& console);
void add_diagnose(CLI::App& app, Console& console);
void add_screen(CLI::App& app, Console& console);
void add_protect(CLI::App& app, Console& console);
void add_plan(CLI::App& app, Console& console);
void add_quantize(CLI::App& app, Console& console);
void add_export(CLI::App& app, Console& console);
void add_evaluate(CLI::App& app, Console& console);
void add_finetune(CLI::App& app, Console& console);
void add_logits(CLI::App& app, Console& console);
// Without tensors:
void add_inspect(CLI::App& app, Console& console);
void add_report(CLI::App& app, Console& console);
void add_tokenize(CLI::App& app, Console& console);

using AddSubcommand = void (*)(CLI::App&, Console&);

/// Parses and runs one of these subcommands; errors go to stderr. `foreign_error` words exceptions of other libraries.
/// Exit code as run_cli.
int run_subcommands(int argc, const char* const* argv, std::span<const AddSubcommand> subcommands,
                    const std::function<std::optional<std::string>(const std::exception&)>& foreign_error = {});

}  // namespace vernier
