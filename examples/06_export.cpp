// 06_export MODEL OUT: the planned model as OUT/model.gguf, which llama.cpp loads as it is. Wants what 03 and 05 wrote.

#include <filesystem>

#include "example.h"
#include "vernier/export.h"
#include "vernier/quantize.h"

namespace {

void export_model(char** argv) {
  const std::string out = argv[2];
  const vernier::Model model = vernier::load_model(argv[1]);
  const vernier::TokenizerModel tokenizer = vernier::load_tokenizer_of(model.source().path);
  const vernier::Calibration calibration = vernier::load_calibration(out + "/calibration.safetensors");
  const vernier::Plan plan =
      vernier::plan_from_json(nlohmann::ordered_json::parse(example::read_text(out + "/plan.json")), "plan.json");

  // The size of the whole file is known before anything is quantized.
  const vernier::Target& target = vernier::find_target("llama.cpp");
  const uint64_t predicted = target.file_bytes(model, plan, tokenizer, {});
  const vernier::QuantizedModel quantized = vernier::quantize(model, calibration, plan, vernier::resolve_threads({}));
  const std::filesystem::path file = out + "/model.gguf";
  vernier::export_model(target, quantized, tokenizer, file);

  const uint64_t written = std::filesystem::file_size(file);
  std::printf("%s: %llu bytes, as predicted; %.3f bits per weight\n", file.c_str(),
              static_cast<unsigned long long>(written),
              8.0 * static_cast<double>(written) / static_cast<double>(model.parameters()));
  if (written != predicted) throw vernier::Error(vernier::ErrorKind::kInternal, "the prediction was wrong");

  // It is a model like any other now.
  const vernier::Model reread = vernier::load_model(file);
  std::printf("read back: %s with %zu tensors\n", reread.config().family.c_str(), reread.tensors().size());
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "MODEL OUT", export_model); }
