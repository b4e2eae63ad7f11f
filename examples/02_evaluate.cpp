// 02_evaluate MODEL TEXT: perplexity of a model, and the damage of a plain 4-bit version of it against the original.

#include "example.h"
#include "vernier/evaluate.h"
#include "vernier/quantize_tensor.h"

namespace {

/// Every matrix through one scheme and back: what an engine would compute with.
vernier::Model rounded(const vernier::Model& model, const vernier::Scheme& scheme, int threads) {
  vernier::Model result(model.config(), model.source());
  for (const vernier::TensorId& id : model.tensors()) {
    const at::Tensor weight = model.weight(id);
    const bool takes = vernier::is_matrix(id.role) && !scheme.why_not(weight.size(0), weight.size(1));
    result.set_weight(id, takes ? vernier::quantize_values(scheme, weight, {}, threads, name_of(id)) : weight);
  }
  return result;
}

void evaluate(char** argv) {
  const vernier::Model model = vernier::load_model(argv[1]);
  const vernier::Tokenizer tokenizer(vernier::load_tokenizer_of(model.source().path));
  // Windows of 256 tokens, the second half of each scored: llama-perplexity's protocol.
  const vernier::EvaluationData data = vernier::text_windows(tokenizer, argv[2], vernier::read_text_file(argv[2]).text,
                                                             {.context = 256, .max_windows = 16});

  const vernier::Model int4 = rounded(model, vernier::Scheme::parse("int4:g64:sym"), vernier::resolve_threads({}));
  // Both models in one pass, each compared with the reference token by token.
  const std::vector<vernier::Evaluation> results = vernier::evaluate({&model, &int4}, &model, data);
  const char* labels[] = {"original", "int4:g64"};
  for (size_t i = 0; i < results.size(); ++i) {
    const vernier::Scores& scores = results[i].all;
    std::printf("%s: perplexity %.3f +- %.3f, KL %.5f +- %.5f nats, same top token %.2f%%\n", labels[i],
                scores.perplexity().mean, scores.perplexity().standard_error, scores.kl().mean,
                scores.kl().standard_error, 100 * scores.same_top().mean);
  }
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "MODEL TEXT", evaluate); }
