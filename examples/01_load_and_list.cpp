// 01_load_and_list MODEL: what is in a model, and what each number format would make of its matrices.

#include "example.h"
#include "vernier/model.h"
#include "vernier/scheme.h"

namespace {

void list(char** argv) {
  // A Hugging Face folder, a GGUF file, or a name in the local Hugging Face cache. Tensors are mapped, not copied.
  const vernier::Model model = vernier::load_model(argv[1]);
  const vernier::ModelConfig& config = model.config();
  std::printf("%s: %s with %lld layers, %lld heads (%lld for keys and values), %lld parameters\n",
              model.source().name.c_str(), config.family.c_str(), static_cast<long long>(config.depth()),
              static_cast<long long>(config.layer(0).attention.heads),
              static_cast<long long>(config.layer(0).attention.kv_heads), static_cast<long long>(model.parameters()));

  const vernier::Scheme scheme = vernier::Scheme::parse("gguf:q4_k");
  uint64_t total = 0;
  for (const vernier::TensorId& id : model.matrices()) {
    const at::Tensor weight = model.weight(id);  // [out, in], in the file's own type
    const int64_t rows = weight.size(0), cols = weight.size(1);
    // That a shape cannot take a scheme is a value, not an error.
    if (const auto reason = scheme.why_not(rows, cols)) {
      std::printf("%-24s %6lld x %-6lld %s\n", vernier::gguf_name(id).c_str(), static_cast<long long>(rows),
                  static_cast<long long>(cols), reason->c_str());
      continue;
    }
    total += scheme.bytes(rows, cols);
    std::printf("%-24s %6lld x %-6lld %9llu bytes\n", vernier::gguf_name(id).c_str(), static_cast<long long>(rows),
                static_cast<long long>(cols), static_cast<unsigned long long>(scheme.bytes(rows, cols)));
  }
  std::printf("%llu bytes in %s; a GGUF file can also hold", static_cast<unsigned long long>(total),
              scheme.name().c_str());
  for (const std::string& name : vernier::gguf_scheme_names()) std::printf(" %s", name.c_str());
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "MODEL", list); }
