// torch_consumer MODEL TEXT: a program on the installed library. Prints parameters and a perplexity.

#include <cmath>
#include <cstdio>

#include "vernier/vernier.h"

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: torch_consumer MODEL TEXT\n"), 2;
  try {
    const vernier::Model model = vernier::load_model(argv[1]);
    const vernier::Tokenizer tokenizer(vernier::load_tokenizer_of(model.source().path));
    const std::string text = vernier::read_text_file(argv[2]).text;
    const auto data = vernier::text_windows(tokenizer, argv[2], text, {.context = 256, .max_windows = 4});
    const double perplexity = vernier::evaluate({&model}, nullptr, data)[0].all.perplexity().mean;
    std::printf("%lld parameters, perplexity %.3f\n", static_cast<long long>(model.parameters()), perplexity);
    // Better than guessing among all tokens, which only a working model on its own tokenizer is.
    return perplexity > 1 && perplexity < static_cast<double>(model.config().vocabulary) / 4 ? 0 : 1;
  } catch (const vernier::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
