#include <fmt/format.h>

#include "base/fail.h"
#include "cli/subcommands.h"
#include "vernier/data.h"
#include "vernier/model_outline.h"

namespace vernier {

void add_tokenize(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, text, file;
    bool no_special = false, plain = false;
  };
  auto* command = app.add_subcommand("tokenize", "Token ids of a text, as JSON");
  auto a = std::make_shared<Arguments>();
  add_option(*command, "MODEL", a->model, "Model whose tokenizer to use")->required();
  auto* text = add_option(*command, "--text", a->text, "Text");
  add_option(*command, "--file", a->file, "Text file")->check(CLI::ExistingFile)->excludes(text);
  add_flag(*command, "--no-special", a->no_special, "Leave out BOS and what else the tokenizer adds");
  add_flag(*command, "--plain", a->plain, "Text that looks like a special token is ordinary text");
  command->callback([a, text, &console] {
    if (a->file.empty() && text->count() == 0) fail(ErrorKind::kInvalidArgument, "tokenize: give --text or --file");
    TokenizerModel model = load_tokenizer_of(resolve_model_path(a->model));
    for (const std::string& warning : model.warnings) console.progress.warn(warning);
    const Tokenizer tokenizer(std::move(model));
    const Json ids = tokenizer.encode(a->file.empty() ? a->text : read_text_file(a->file).text,
                                      {.add_special = !a->no_special, .parse_special = !a->plain});
    fmt::print(console.out, "{}\n", ids.dump());
  });
}

}  // namespace vernier
