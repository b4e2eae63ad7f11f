#include "vernier/evaluate.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "base/fail.h"
#include "base/text_table.h"
#include "cli/command.h"
#include "cli/subcommands.h"
#include "format/tokenizer_difference.h"

namespace vernier {

namespace {

std::string with_error(const Measured& m, int digits) {
  if (!std::isfinite(m.standard_error)) return fmt::format("{:.{}f} ± -", m.mean, digits);  // of one window or document
  return fmt::format("{:.{}f} ± {:.{}f}", m.mean, digits, m.standard_error, digits);
}

void print_evaluation(const Evaluation& e, std::FILE* out) {
  TextTable table({"figure", "value"});
  if (e.activations == Activations::kLlamaCpp) table.add({"activations", "rounded as llama.cpp does"});
  table.add({"tokens scored", fmt::format("{} in {} windows of {}", e.all.tokens, e.windows, e.context)});
  table.add({"perplexity", with_error({e.all.perplexity(), e.all.perplexity_standard_error()}, 4)});
  table.add({"NLL (nats/token)", with_error(e.all.nll, 5)});
  if (e.all.documents > 0) {
    table.add({"NLL (bits/byte)", with_error(e.all.nll_bits_per_byte, 5)});
    table.add({"NLL (nats/document)", with_error(e.all.nll_per_document, 3)});
  }
  if (e.all.kl) {
    table.add({"Mean KLD (nats/token)", with_error(*e.all.kl, 6)});
    table.add({"Mean ΔNLL (nats/token)", with_error(*e.all.delta_nll, 6)});
    table.add({"Same top p (%)", with_error({100 * e.all.same_top->mean, 100 * e.all.same_top->standard_error}, 3)});
  }
  if (e.tails) {
    table.add({"Maximum KLD", fmt::format("{:.6f}", e.tails->kl_max)});
    table.add({"99.9% KLD", fmt::format("{:.6f}", e.tails->kl_99_9)});
    table.add({"99.0% KLD", fmt::format("{:.6f}", e.tails->kl_99)});
    table.add({"Median KLD", fmt::format("{:.6f}", e.tails->kl_median)});
    table.add({"Mean Δp (%)", fmt::format("{:.4f}", 100 * e.tails->delta_p_mean)});
    table.add({"RMS Δp (%)", fmt::format("{:.4f}", 100 * e.tails->delta_p_rms)});
    table.add(
        {"5% .. 95% Δp (%)", fmt::format("{:.3f} .. {:.3f}", 100 * e.tails->delta_p_5, 100 * e.tails->delta_p_95)});
  }
  fmt::print(out, "{} on {}\n{}", e.model_name, e.data_name, table.str(static_cast<size_t>(terminal_width(out))));
  if (e.groups.empty()) return;
  TextTable groups(
      {"group", "documents", "tokens", "bits/byte", "nats/document", "KLD", "ΔNLL nats/document", "same top %"});
  for (const auto& [name, s] : e.groups)
    groups.add({name, fmt::format("{}", s.documents), fmt::format("{}", s.tokens), with_error(s.nll_bits_per_byte, 4),
                with_error(s.nll_per_document, 1), s.kl ? with_error(*s.kl, 5) : "",
                s.delta_nll_per_document ? with_error(*s.delta_nll_per_document, 2) : "",
                s.same_top ? fmt::format("{:.2f}", 100 * s.same_top->mean) : ""});
  fmt::print(out, "\n{}", groups.str(static_cast<size_t>(terminal_width(out))));
}

/// KL compares next tokens id by id: the two must read the text alike.
void require_same_ids(const Model& model, const Tokenizer& tokenizer, const Model& reference, const DataArguments& data,
                      bool allowed, Console& console) {
  if (const ModelSource& source = reference.source();
      !source.gguf && !std::filesystem::exists(source.path / "tokenizer.json")) {
    console.progress.warn(
        fmt::format("{} has no tokenizer.json; its ids are taken to be those of {}", source.name, model.source().name));
    return;
  }
  const Tokenizer other(open_tokenizer(reference, console));
  const std::vector<std::string> texts = data.texts(console);
  const TokenizerComparison found =
      compare_tokenizers_on(tokenizer, other, std::vector<std::string_view>(texts.begin(), texts.end()));
  if (found.ids || tokenizer.adds_bos() != other.adds_bos()) {
    const std::string message =
        fmt::format("{} and {} read this text as other tokens, so that comparing their next tokens means nothing: {}",
                    model.source().name, reference.source().name, found.text());
    if (!allowed)
      fail(ErrorKind::kInvalidArgument,
           "evaluate: {}; choose a reference with the same tokenizer, or --different-tokenizers where you know better",
           message);
    console.progress.warn(message);
  } else if (found.tokenizers) {
    console.progress.warn(fmt::format("the tokenizers of {} and {} read this text alike, but differ: {}",
                                      model.source().name, reference.source().name, found.tokenizers->text()));
  }
}

Json token_log(const Evaluation& e, const EvaluationData& data) {
  Json json = Json::array();
  for (size_t w = 0; w < e.tokens.size(); ++w) {
    Json scores = Json::array();
    for (const TokenScore& score : e.tokens[w]) scores.push_back(score.log_p);
    json.push_back({{"tokens", data.windows[w].tokens}, {"first_row", data.windows[w].first_row}, {"log_p", scores}});
  }
  return json;
}

}  // namespace

void add_evaluate(CLI::App& app, Console& console) {
  struct Arguments {
    std::string model, reference, token_log, activations = "exact";
    bool different_tokenizers = false;
    DataArguments data;
    ComputeArguments compute;
    JsonArgument json;
    CommandFiles io;
  };
  auto* command = app.add_subcommand("evaluate", "Perplexity, KL to a reference and damage per group");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  command->add_option("--reference", a->reference, "Model to compare with, such as the one in full precision");
  a->io.reads_model(a->reference);
  command->add_flag("--different-tokenizers", a->different_tokenizers,
                    "Compare although the reference reads the text as other tokens");
  a->data.add(*command, a->io);
  command
      ->add_option("--activations", a->activations,
                   "exact, or llama.cpp: rounded as its CPU kernels do beside the quantized matrices of a GGUF file")
      ->check(CLI::IsMember({"exact", "llama.cpp"}))
      ->capture_default_str();
  add_output(*command, a->io, "--token-log", a->token_log,
             "Also write every window's tokens and log-probabilities as JSON");
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    const EvaluateOptions options{a->compute.options(console), !a->token_log.empty(),
                                  a->activations == "exact" ? Activations::kExact : Activations::kLlamaCpp};
    const Model model = open_model(a->model, console);
    const std::optional<Model> reference =
        a->reference.empty() ? std::nullopt : std::optional<Model>(open_model(a->reference, console));
    const Tokenizer tokenizer(open_tokenizer(model, console));
    if (reference) require_same_ids(model, tokenizer, *reference, a->data, a->different_tokenizers, console);
    // Documents alone when only they are named: the built-in text is for those who name nothing.
    const std::optional<EvaluationData> documents = a->data.documents(tokenizer, console);
    const bool both = documents && !a->data.data.empty();
    const EvaluationData data = documents && !both ? *documents : a->data.text(tokenizer, console);
    const auto evaluate_on = [&](const EvaluationData& d) {
      warn_beyond_context(model, d, console);
      return evaluate({&model}, reference ? &*reference : nullptr, d, options, &console.progress)[0];
    };
    const Evaluation evaluation = evaluate_on(data);
    Json json = evaluation_to_json(evaluation);
    std::optional<Evaluation> groups;
    if (both) {
      groups = evaluate_on(*documents);
      json["groups"] = evaluation_to_json(*groups)["groups"];
    }
    if (!a->token_log.empty()) write_json(a->token_log, token_log(evaluation, data));
    if (a->json.write(json, console)) return;
    print_evaluation(evaluation, console.out);
    if (groups) print_evaluation(*groups, console.out);
  });
}

}  // namespace vernier
