// 08_run MODEL CALIBRATION TEXT OUT: the whole chain in one call, into OUT/run; started again, it goes on where it
// stopped. What the other examples do stage by stage.

#include "example.h"
#include "vernier/run.h"

namespace {

/// Warnings as they come; the stages' progress is heard too, and not shown.
struct Warnings : vernier::ProgressSink {
  void warn(std::string_view message) override {
    std::printf("warning: %.*s\n", static_cast<int>(message.size()), message.data());
  }
};

void run_chain(char** argv) {
  vernier::RunOptions options;
  options.budget = "+10%";
  options.output = std::string(argv[4]) + "/run";
  options.calibration_text = {argv[2]};
  options.evaluation_text = {argv[3]};
  options.context = 256;
  options.calibration_windows = 16;
  options.diagnose_windows = 2;
  options.evaluation_windows = 16;
  Warnings warnings;
  const vernier::RunResult result = vernier::run(argv[1], options, &warnings);
  for (const vernier::EvaluationRow& row : result.rows)
    std::printf("%-20s %10llu bytes  perplexity %.4f  KL %s\n", row.label.c_str(),
                static_cast<unsigned long long>(row.bytes), row.text.perplexity().mean,
                row.text.find("kl_nats") != nullptr ? std::to_string(row.text.kl().mean).c_str() : "-");
  std::printf("%s is %s\n", result.files.model.c_str(), result.rows[result.chosen].label.c_str());
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "MODEL CALIBRATION TEXT OUT", run_chain); }
