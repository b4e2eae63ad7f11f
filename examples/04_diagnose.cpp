// 04_diagnose MODEL TEXT OUT: each matrix quantized alone, its damage as OUT/diagnosis.json. Wants what 03 wrote.

#include <algorithm>

#include "example.h"
#include "vernier/planning.h"

namespace {

struct PercentOnStderr : vernier::ProgressSink {
  void begin(std::string_view, int64_t total, std::string_view) override { total_ = total; }
  void update(int64_t done) override {
    std::fprintf(stderr, "\r%3lld%%", static_cast<long long>(total_ > 0 ? 100 * done / total_ : 100));
  }
  void end() override { std::fputc('\n', stderr); }

 private:
  int64_t total_ = 0;
};

void diagnose(char** argv) {
  const vernier::Model model = vernier::load_model(argv[1]);
  const vernier::Tokenizer tokenizer(vernier::load_tokenizer_of(model.source().path));
  const std::string out = argv[3];
  const vernier::Calibration calibration = vernier::load_calibration(out + "/calibration.safetensors");
  const vernier::EvaluationData data = vernier::text_windows(tokenizer, argv[2], vernier::read_text_file(argv[2]).text,
                                                             {.context = 256, .max_windows = 3});

  vernier::DiagnoseOptions options = vernier::planning_diagnosis("llama.cpp", "gguf:q4_k");
  options.kinds = {vernier::ComponentKind::kTensor, vernier::ComponentKind::kEmbed, vernier::ComponentKind::kLmHead};
  PercentOnStderr progress;
  const vernier::Diagnosis diagnosis = vernier::diagnose(model, calibration, data, options, &progress);

  std::printf("quantizing nothing: KL %g; noise floor %.1e nats; all at once %.5f, sum of each alone %.5f\n",
              diagnosis.control_kl, diagnosis.noise_floor_kl, diagnosis.joint_kl->mean, diagnosis.sum_isolated_kl);
  std::vector<vernier::ComponentDamage> worst = diagnosis.components;
  std::sort(worst.begin(), worst.end(), [](const auto& a, const auto& b) { return a.kl.mean > b.kl.mean; });
  worst.resize(std::min<size_t>(worst.size(), 10));
  for (const vernier::ComponentDamage& c : worst)
    std::printf("%-16s KL %.6f +- %.6f nats\n", vernier::name_of(c.component).c_str(), c.kl.mean, c.kl.standard_error);
  example::write_text(out + "/diagnosis.json", vernier::diagnosis_to_json(diagnosis).dump(2));
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "MODEL TEXT OUT", diagnose); }
