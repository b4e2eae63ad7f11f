// The program that users start. Loading the tensor library takes longer and more memory than looking at a file does, so
// subcommands that need no tensors run here; everything else is the program vernier-tensors in the same folder.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "cli/subcommands.h"

namespace {

bool needs_no_tensors(int argc, char** argv) {
  if (argc == 2 && argv[1] == std::string_view("--version")) return true;
  static constexpr std::string_view kLight[] = {"inspect", "report", "tokenize"};
  char** const first =
      std::find_if(argv + std::min(argc, 1), argv + argc, [](std::string_view a) { return !a.starts_with('-'); });
  return first != argv + argc && std::find(std::begin(kLight), std::end(kLight), *first) != std::end(kLight);
}

}  // namespace

int main(int argc, char** argv) {
  if (needs_no_tensors(argc, argv)) {
    static constexpr vernier::AddSubcommand kLight[] = {vernier::add_inspect, vernier::add_report,
                                                        vernier::add_tokenize};
    return vernier::run_subcommands(argc, argv, kLight);
  }
  std::error_code code;
  const std::filesystem::path own = std::filesystem::read_symlink("/proc/self/exe", code);
  if (code) {  // never what lies in the current folder
    fmt::print(stderr, "vernier: /proc/self/exe: {}; start vernier-tensors, which lies beside this program\n",
               code.message());
    return 1;
  }
  const std::filesystem::path program = own.parent_path() / "vernier-tensors";
  ::execv(program.c_str(), argv);
  fmt::print(stderr, "vernier: start {}: {}; it belongs beside this program\n", program.string(), std::strerror(errno));
  return 1;
}
