#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "base/text_table.h"
#include "cli/command.h"
#include "cli/subcommands.h"
#include "ops/packed_linear.h"
#include "ops/torch_version.h"
#include "vernier/report.h"
#include "vernier/version.h"

namespace vernier {

namespace {

/// GFLOP/s of a [512, 1024] x [1024, 1024] product in ATen, best of five.
double aten_gflops() {
  const at::Tensor a = at::ones({512, 1024}), b = at::ones({1024, 1024});
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    at::matmul(a, b);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * 512 * 1024 * 1024 / seconds / 1e9);
  }
  return best;
}

}  // namespace

void add_doctor(CLI::App& app, Console& console) {
  auto* command = app.add_subcommand("doctor", "What this machine and this build can do");
  struct Arguments {
    JsonArgument json;
    CommandFiles io;
  };
  auto a = std::make_shared<Arguments>();
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    const int cores = available_processors();
    configure_process(cores);
    const double gflops = aten_gflops();
    const char* core_type = std::getenv("OPENBLAS_CORETYPE");
    const double memory_gib =
        static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 30);
    Json facts;
    facts["version"] = VERNIER_VERSION;
    facts["libtorch"] = torch_version();
    facts["matrix_products"] = matmul_backend();
    facts["report_charts"] = report_has_charts();
    facts["cores"] = cores;
    facts["memory_gib"] = memory_gib;
    facts["aten_gflops_f32"] = gflops;
    facts["cuda"] = at::globalContext().hasCUDA();
    facts["advice"] = Json::array();
    if (core_type != nullptr)
      facts["advice"].push_back(fmt::format("OPENBLAS_CORETYPE={} pins OpenBLAS to an old core; unset it", core_type));
    constexpr double kReferenceBlas = 25;  // Debian's reference BLAS reaches about 4 per core, OpenBLAS 100 and more
    if (gflops < kReferenceBlas) facts["advice"].push_back("matrix products are slow: install libopenblas-openmp-dev");
    if (matmul_backend() == "ATen")
      facts["advice"].push_back("built without oneDNN: install libdnnl-dev and build again for the fused path");
    if (a->json.write(facts, console)) return;
    TextTable table({"what", "value"});
    for (const auto& [key, value] : facts.items()) {
      if (key == "advice") continue;
      table.add({key, value.is_string()         ? value.get<std::string>()
                      : value.is_number_float() ? fmt::format("{:.1f}", value.get<double>())
                                                : value.dump()});
    }
    fmt::print(console.out, "{}", table.str(console.width()));
    for (const Json& line : facts["advice"]) fmt::print(console.out, "advice: {}\n", line.get<std::string>());
    if (facts["advice"].empty()) fmt::print(console.out, "nothing to improve\n");
  });
}

}  // namespace vernier
