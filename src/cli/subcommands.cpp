#include "cli/subcommands.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/fail.h"
#include "base/output_file.h"
#include "base/terminal.h"
#include "vernier/version.h"

namespace vernier {

namespace {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument: return 2;
    case ErrorKind::kInfeasible: return 3;
    case ErrorKind::kBadFile: return 4;
    case ErrorKind::kUnsupported:
    case ErrorKind::kIo:
    case ErrorKind::kInternal: return 1;
  }
  return 1;
}

/// CLI11 would only say that a subcommand is required.
void require_known_subcommand(const CLI::App& app, int argc, const char* const* argv) {
  const auto* const first = std::find_if(argv + std::min(argc, 1), argv + argc,
                                         [](std::string_view argument) { return !argument.starts_with('-'); });
  if (first == argv + argc) return;
  std::string known;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == *first) return;
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  fail(ErrorKind::kInvalidArgument, "\"{}\" is no subcommand; there are {}", *first, known);
}

}  // namespace

int run_subcommands(int argc, const char* const* argv, std::span<const AddSubcommand> subcommands,
                    const std::function<std::optional<std::string>(const std::exception&)>& foreign_error) {
  CLI::App app(
      "Explains how quantization skews a transformer, spends the bits where they matter, and proves the result.\n"
      "MODEL is a Hugging Face directory, a GGUF file, or a name in the local Hugging Face cache.",
      "vernier");
  app.set_version_flag("--version", VERNIER_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.get_formatter()->column_width(34);
  app.footer(
      "Start with: vernier run MODEL --budget +10% -o out\n"
      "Exit codes: 0 ok, 1 failed, 2 usage, 3 budget infeasible, 4 bad input file.");
  Console console;
  app.add_flag_callback(
      "--quiet", [&] { console.progress = ConsoleProgress(stderr, true); }, "No progress on stderr");
  for (const AddSubcommand add : subcommands) add(app, console);
  remove_partial_files_when_ended();
  try {
    require_known_subcommand(app, argc, argv);
    app.parse(argc, argv);
    // What was printed is in vain where it could not be written.
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
    say(stderr, "vernier: what was printed could not be written\n");
    return 1;
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  } catch (const Error& e) {
    say(stderr, fmt::format("vernier: {}\n", plainly(e.what())));
    return exit_code(e.kind());
  } catch (const std::bad_alloc&) {
    say(stderr, "vernier: out of memory; use fewer --threads, a smaller --context or fewer --windows\n");
    return 1;
  } catch (const std::exception& e) {
    const auto said = foreign_error ? foreign_error(e) : std::nullopt;
    say(stderr, fmt::format("vernier: {}\n", plainly(said.value_or(e.what()))));
    return 1;
  }
}

}  // namespace vernier
