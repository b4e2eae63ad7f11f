#include <ATen/ATen.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>

#include "base/fail.h"
#include "base/file_identity.h"
#include "base/hash.h"
#include "base/output_file.h"
#include "base/text_table.h"
#include "cli/command.h"
#include "cli/plan_table.h"
#include "cli/run_directory.h"
#include "cli/subcommands.h"
#include "cli/torch_version.h"
#include "data/builtin_texts.h"
#include "report/report_data.h"
#include "vernier/evaluation_file.h"
#include "vernier/export.h"
#include "vernier/planning.h"
#include "vernier/report.h"
#include "vernier/version.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

struct Arguments {
  std::string model, budget = "+10%", target = "llama.cpp", output = "out", scheme = "gguf:q4_k";
  std::vector<std::string> calibration;
  int64_t calibration_windows = 0, diagnose_windows = 16;
  uint64_t seed = 0;
  bool strict = false, dry_run = false, force = false;
  ExportOptions options;
  DataArguments data;
  ComputeArguments compute;
  JsonArgument json;
  CommandFiles io;
};

std::string key_of(std::initializer_list<std::string> parts) {
  Hasher hasher;
  hasher.add(VERNIER_VERSION);
  for (const std::string& part : parts) hasher.add(part);
  return hasher.hex();
}

/// A finished file under another name. `share`: as a second name of one file where the file system can do that; never
/// with a file that is not the run's own.
void put_in_place(const fs::path& from, const fs::path& named, bool share) {
  const fs::path to = output_target(named);
  fs::path temporary = to;
  temporary += fmt::format(".{}.partial", ::getpid());
  fs::remove(temporary);
  std::error_code code = std::make_error_code(std::errc::not_supported);
  if (share) fs::create_hard_link(from, temporary, code);
  if (code) fs::copy_file(from, temporary);
  fs::rename(temporary, to);
  fs::remove(temporary);  // rename leaves it where both are already names of one file
}

/// What the files are compared with: "full precision", or "source (Q4_1)" for a model that is quantized already, after
/// the scheme that most of its bytes are in.
std::string source_label(const Model& model) {
  std::map<std::string, uint64_t> bytes;
  bool quantized = false;
  for (const TensorId& id : model.matrices()) {
    const std::vector<int64_t> shape = model.shape(id);
    const Scheme scheme = model.scheme_in_file(id);
    bytes[scheme.name()] += scheme.bytes(shape[0], shape[1]);
    quantized |= model.stored(id) != nullptr;
  }
  if (!quantized) return "full precision";
  std::string name = std::max_element(bytes.begin(), bytes.end(), [](const auto& a, const auto& b) {
                       return a.second < b.second;
                     })->first;
  name.erase(0, name.rfind(':') + 1);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return fmt::format("source ({})", name);
}

/// As files hold it: the GGUF file with its other parts, or the tensors of a Hugging Face directory.
uint64_t source_bytes(const Model& model) {
  if (!model.source().gguf) return model.stored_bytes();
  uint64_t bytes = 0;
  for (const fs::path& file : files_of_model(model.source().path.string())) bytes += fs::file_size(file);
  return bytes;
}

/// Where the model is what the target loads and fits as it is, nothing made from it can be better.
bool source_fits(const Model& model, const Target& target, uint64_t budget) {
  return target.takes_source(model.source()) && source_bytes(model) <= budget;
}

/// What a source that is quantized already means for the figures, and for the choice.
void warn_of_source(const Model& model, const Target& target, uint64_t budget, Console& console) {
  const std::string label = source_label(model);
  if (label != "full precision")
    console.progress.warn(fmt::format(
        "{} is quantized already: damage is measured against this {}, not against the model that it was made from, and "
        "what was lost then cannot come back; start from the original in full precision where you have it",
        model.source().name, label));
  if (source_fits(model, target, budget))
    console.progress.warn(fmt::format(
        "the source itself has {} bytes and fits the budget of {}: no file made from it can be better, so it is what "
        "{} will hold",
        source_bytes(model), budget, target.output));
}

class Run {
 public:
  Run(const Arguments& arguments, Console& console)
      : a_(arguments),
        console_(console),
        compute_(arguments.compute.options(console)),
        model_(open_model(arguments.model, console)),
        tokenizer_model_(open_tokenizer(model_, console)),  // evaluation needs it, whatever the target
        target_(find_target(arguments.target)),
        budget_bytes_(
            reachable_budget(model_, tokenizer_model_, arguments.budget, {arguments.target, arguments.options})),
        model_hash_(model_hash(model_)),
        tokenizer_(tokenizer_model_),
        directory_(arguments.output, model_hash_, arguments.force) {}

  void execute() {
    warn_of_source(model_, target_, budget_bytes_, console_);
    for (const std::string& loss : target_.losses(model_, tokenizer_model_)) console_.progress.warn(loss);
    prepare_data();
    calibrate_model();
    diagnose_model();
    make_plans();
    export_files();
    evaluate_files();
    choose();
    report();
  }

 private:
  struct Candidate {
    std::string label, kind, plan, file;  // names inside the run directory
  };

  void prepare_data() {
    // What cannot be exported should say so now, not after the measurements.
    exported_as_ = target_.header_hash(model_, plan_uniform(model_, "f16", a_.target), tokenizer_model_, a_.options);
    calibration_data_ =
        calibration_windows(tokenizer_, a_.calibration, a_.data.context, a_.calibration_windows, console_);
    diagnosis_data_ = diagnosis_windows(tokenizer_, a_.calibration, a_.data.context, a_.diagnose_windows, console_);
    text_ = a_.data.text(tokenizer_, console_);
    groups_ = a_.data.documents(tokenizer_, console_);
    if (!groups_ && a_.data.data.empty())
      groups_ = document_windows(tokenizer_, "built-in groups",
                                 parse_documents(builtin_groups_text(), "built-in groups"), {a_.data.context, 0, true});
    EvaluationData seen = calibration_data_;  // what the plan is made from
    seen.windows.insert(seen.windows.end(), diagnosis_data_.windows.begin(), diagnosis_data_.windows.end());
    shared_runs_ = shared_token_runs(text_, seen) + (groups_ ? shared_token_runs(*groups_, seen) : 0);
    if (shared_runs_ > 0) {
      const std::string message = fmt::format(
          "{} runs of 50 tokens (or whole documents) are in both the calibration and the evaluation text; the result "
          "flatters itself",
          shared_runs_);
      if (a_.strict) fail(ErrorKind::kInvalidArgument, "run: {} (--strict)", message);
      console_.progress.warn(message);
    }
    warn_beyond_context(model_, text_, console_);
    if (const int64_t same = target_.context_length(model_.config());
        text_.longest() > same && same < model_.config().context_length)
      fail(ErrorKind::kInvalidArgument,
           "run: windows of {} tokens: {} ignores this model's sliding window, so that beyond {} tokens its answers "
           "differ without any quantization; give --context {}",
           text_.longest(), a_.target, same, same);
    describe();
    directory_.save();  // from here on the folder is a run's
  }

  void describe() {
    const ModelConfig& c = model_.config();
    const auto data_facts = [](const EvaluationData& d) {
      return Json{{"name", d.name},
                  {"tokens", d.scored_tokens()},
                  {"windows", d.windows.size()},
                  {"context", d.context},
                  {"hash", d.hash}};
    };
    Json& facts = directory_.facts();
    facts["tool_version"] = VERNIER_VERSION;
    facts["libtorch"] = torch_version();
    facts["model"] = {{"name", model_.source().name},
                      {"hash", model_hash_},
                      {"family", c.family},
                      {"parameters", model_.parameters()},
                      {"layers", c.depth()},
                      {"heads", c.layer(0).attention.heads},
                      {"kv_heads", c.layer(0).attention.kv_heads},
                      {"hidden", c.hidden},
                      {"vocabulary", c.vocabulary}};
    facts["calibration"] = data_facts(calibration_data_);
    facts["evaluation"] = data_facts(text_);
    facts["groups"] = groups_ ? data_facts(*groups_) : Json();
    facts["shared_token_runs"] = shared_runs_;
    facts["options"] = {{"budget", a_.budget},
                        {"target", a_.target},
                        {"scheme", a_.scheme},
                        {"dtype", a_.compute.dtype},
                        {"context", a_.data.context},
                        {"score", a_.data.score},
                        {"windows", a_.data.windows},
                        {"calibration_windows", calibration_data_.windows.size()},
                        {"diagnose_windows", diagnosis_data_.windows.size()},
                        {"filter", a_.data.filter},
                        {"tokenizer_pre", a_.options.tokenizer_pre},
                        {"tokenizer_pre_unchecked", a_.options.tokenizer_pre_unchecked},
                        {"strict", a_.strict}};
    facts["seed"] = a_.seed;
  }

  void calibrate_model() {
    const std::string name = "calibration.safetensors";
    directory_.stage("calibrate", key_of({model_hash_, calibration_data_.hash, a_.compute.dtype}), name,
                     [&](const fs::path& path) {
                       save_calibration(calibrate(model_, calibration_data_, compute_, &console_.progress), path);
                     });
    calibration_ = load_calibration(directory_.path(name));
  }

  void diagnose_model() {
    const std::string name = "diagnosis.json";
    DiagnoseOptions options = planning_diagnosis(a_.target, a_.scheme);
    options.compute = compute_;
    options.checkpoint = directory_.path("work/sweep");
    directory_.stage("diagnose",
                     key_of({directory_.hash("calibration.safetensors"), diagnosis_data_.hash, a_.scheme, a_.target,
                             a_.compute.dtype}),
                     name, [&](const fs::path& path) {
                       write_json(path, diagnosis_to_json(diagnose(model_, calibration_, diagnosis_data_, options,
                                                                   &console_.progress)));
                     });
    diagnosis_ = diagnosis_from_json(read_json(directory_.path(name)), name);
  }

  void make_plans() {
    const std::string inputs = key_of(
        {directory_.hash("diagnosis.json"), a_.budget, a_.target, exported_as_, std::to_string(Plan().schema_version)});
    directory_.stage("plan", inputs, "work/planned.json", [&](const fs::path& path) {
      write_json(path,
                 plan_to_json(plan_within(model_, tokenizer_model_, diagnosis_, a_.budget, {a_.target, a_.options})));
    });
    const Plan planned = load_plan("work/planned.json");
    for (const Plan& plan :
         uniform_plans_within(model_, tokenizer_model_, diagnosis_, budget_bytes_, {a_.target, a_.options})) {
      std::string name = plan.label;
      std::replace_if(
          name.begin(), name.end(), [](char c) { return c == ' ' || c == ':'; }, '-');
      const std::string file = "work/" + name + ".json";
      directory_.stage("plan " + plan.label, inputs, file,
                       [&](const fs::path& path) { write_json(path, plan_to_json(plan)); });
      candidates_.push_back({plan.label, "uniform", file, written_as("work/" + name)});
    }
    candidates_.push_back({planned.label, "plan", "work/planned.json", written_as("work/planned")});
  }

  /// The artefact that stands for what the target writes: its file, or the one with the weights in its folder.
  std::string written_as(const std::string& name) const {
    return target_.weights_file(name + fs::path(target_.output).extension().string()).string();
  }
  fs::path output_of(const fs::path& artefact) const { return target_.is_folder() ? artefact.parent_path() : artefact; }

  Plan load_plan(const std::string& name) { return plan_from_json(read_json(directory_.path(name)), name); }

  void export_files() {
    const int threads = resolve_threads(compute_);
    for (const Candidate& c : candidates_)
      directory_.stage(
          "export " + c.label,
          key_of({directory_.hash(c.plan), directory_.hash("calibration.safetensors"), model_hash_, exported_as_}),
          c.file, [&](const fs::path& path) {
            export_model(target_, quantize(model_, calibration_, load_plan(c.plan), threads), tokenizer_model_,
                         output_of(path), a_.options, &console_.progress);
          });
  }

  /// The files as an engine gets them, read back and compared with the model in full precision.
  void evaluate_files() {
    std::string inputs = key_of(
        {model_hash_, text_.hash, groups_ ? groups_->hash : "", a_.compute.dtype, std::to_string(kEvaluationSchema)});
    for (const Candidate& c : candidates_) inputs = key_of({inputs, c.label, directory_.hash(c.file)});
    directory_.stage("evaluate", inputs, "evaluation.json", [&](const fs::path& path) {
      std::vector<Evaluation> text, groups;
      evaluate_all(text, groups);
      EvaluationFile file = evaluation_file(text.front(), groups_ ? &groups.front() : nullptr);
      file.budget_bytes = budget_bytes_;
      file.rows.push_back(row(source_label(model_), "reference", source_bytes(model_)));
      file.rows.back().text = scores_of_reference(text.front().all);
      for (size_t i = 0; i < candidates_.size(); ++i)
        file.rows.push_back(evaluation_row(
            row(candidates_[i].label, candidates_[i].kind,
                target_.counted_bytes(model_, load_plan(candidates_[i].plan), tokenizer_model_, a_.options)),
            text[i], groups_ ? &groups[i] : nullptr));
      write_json(path, evaluation_file_to_json(file));
    });
    evaluation_ = read_json(directory_.path("evaluation.json"));
  }

  /// Several files share a pass with the reference as far as they fit into kModelBytes.
  void evaluate_all(std::vector<Evaluation>& text, std::vector<Evaluation>& groups) {
    constexpr int64_t kModelBytes = int64_t{4} << 30;
    const int64_t each = 2 * 4 * model_.parameters();  // decoded and packed, float32
    const auto together = static_cast<size_t>(std::max<int64_t>(1, kModelBytes / each - 1));
    for (size_t first = 0; first < candidates_.size(); first += together) {
      std::vector<Model> files;
      std::vector<const Model*> batch;
      for (size_t i = first; i < std::min(candidates_.size(), first + together); ++i)
        files.push_back(load_model(directory_.path(candidates_[i].file).string()));
      for (const Model& file : files) batch.push_back(&file);
      const auto add = [&](const EvaluationData& data, std::vector<Evaluation>& results) {
        for (Evaluation& e : evaluate(batch, &model_, data, {compute_}, &console_.progress))
          results.push_back(std::move(e));
      };
      add(text_, text);
      if (groups_) add(*groups_, groups);
    }
  }

  EvaluationRow row(const std::string& label, const std::string& kind, uint64_t bytes) const {
    return {.label = label,
            .kind = kind,
            .bytes = bytes,
            .bits_per_weight = bits_per_weight(bytes, model_),
            .budget_fits = bytes <= budget_bytes_};
  }

  /// The plan, unless a uniform file that fits as well turned out better: measured, not predicted. And the source where
  /// it fits as it is, since damage is the distance to it.
  void choose() {
    if (source_fits(model_, target_, budget_bytes_)) return keep_source();
    size_t best = candidates_.size() - 1;
    const auto kl = [&](size_t i) {
      return json_number(evaluation_["rows"][i + 1]["text"], "kl_nats", "evaluation.json");
    };
    for (size_t i = 0; i < candidates_.size(); ++i)
      if (kl(i) < kl(best)) best = i;
    const Candidate& c = candidates_[best];
    if (c.kind != "plan")
      console_.progress.warn(
          fmt::format("{} measured better than the plan and is what {} holds", c.label, target_.output));
    const std::string key = key_of({directory_.hash(c.file), directory_.hash(c.plan)});
    directory_.stage("choose plan", key, "plan.json",
                     [&](const fs::path& path) { put_in_place(directory_.path(c.plan), path, true); });
    directory_.stage("choose model", key, chosen_file(), [&](const fs::path& path) {
      if (!target_.is_folder()) return put_in_place(directory_.path(c.file), path, true);
      const fs::path from = output_of(directory_.path(c.file));
      for (const auto& entry : fs::recursive_directory_iterator(from))
        if (entry.is_regular_file() && entry.path() != directory_.path(c.file)) {
          const fs::path to = output_of(path) / fs::relative(entry.path(), from);
          fs::create_directories(to.parent_path());
          put_in_place(entry.path(), to, true);
        }
      put_in_place(directory_.path(c.file), path, true);
    });
  }

  std::string chosen_file() const { return target_.weights_file(target_.output).string(); }

  void keep_source() {
    const std::string key = key_of({"source", model_hash_, a_.budget});
    Plan plan = plan_as_stored(model_, source_label(model_), a_.target);
    plan.budget_text = a_.budget;
    plan.budget_bytes = budget_bytes_;
    plan.provenance = {{"model_hash", model_hash_}};
    directory_.stage("choose plan", key, "plan.json",
                     [&](const fs::path& path) { write_json(path, plan_to_json(plan)); });
    directory_.stage("choose model", key, chosen_file(),
                     [&](const fs::path& path) { put_in_place(model_.source().path, path, false); });
  }

  void report() {
    for (const std::string& name : {std::string("calibration.safetensors"), std::string("diagnosis.json"),
                                    std::string("plan.json"), chosen_file(), std::string("evaluation.json")})
      directory_.facts()["artefacts"][name] = directory_.hash(name);
    const Json data = report_data(directory_.manifest(), evaluation_, read_json(directory_.path("diagnosis.json")),
                                  read_json(directory_.path("plan.json")));
    write_report(directory_.path("report.html"), data);
    directory_.save();
    if (a_.json.write(data["results"], console_)) return;
    TextTable table({"plan", "bytes", "bits/weight", "perplexity", "KL nats", "±", "same top %"});
    for (const Json& r : data["results"]["rows"]) {
      const auto number = [&](const char* key, int digits, double scale = 1) {
        return r[key].is_null() ? std::string("-") : fmt::format("{:.{}f}", scale * r[key].get<double>(), digits);
      };
      table.add({r["label"].get<std::string>(), fmt::format("{}", r["bytes"].get<uint64_t>()),
                 number("bits_per_weight", 3), number("perplexity", 4), number("kl_nats", 6),
                 number("kl_nats_stderr", 6), number("same_top_share", 3, 100)});
    }
    fmt::print(console_.out, "{}\nbudget {} = {} bytes; model: {}; report: {}\n", table.str(console_.width()),
               a_.budget, budget_bytes_, directory_.path(target_.output).string(),
               directory_.path("report.html").string());
  }

  const Arguments& a_;
  Console& console_;
  ComputeOptions compute_;
  Model model_;
  TokenizerModel tokenizer_model_;
  const Target& target_;
  uint64_t budget_bytes_;
  std::string model_hash_;  ///< once, since it reads every byte
  Tokenizer tokenizer_;
  RunDirectory directory_;
  EvaluationData calibration_data_, diagnosis_data_, text_;
  std::optional<EvaluationData> groups_;
  std::string exported_as_;  ///< hash of tokenizer and configuration as files hold them
  int64_t shared_runs_ = 0;
  Calibration calibration_;
  Diagnosis diagnosis_;
  std::vector<Candidate> candidates_;
  Json evaluation_;
};

void dry_run(const Arguments& a, Console& console) {
  const Model model = open_model(a.model, console);
  const TokenizerModel tokenizer = open_tokenizer(model, console);
  const uint64_t budget = reachable_budget(model, tokenizer, a.budget, {a.target, a.options});
  const Target& target = find_target(a.target);
  warn_of_source(model, target, budget, console);
  for (const std::string& loss : target.losses(model, tokenizer)) console.progress.warn(loss);
  const auto components = components_of(model.config(), DiagnoseOptions{}.kinds).size();
  TextTable table({"uniform plan", "bytes", "bits/weight"});
  Json json = {{"budget", {{"text", a.budget}, {"bytes", budget}}}, {"components", components}};
  for (const std::string& scheme : target.rules.schemes) {
    const Plan plan = plan_uniform(model, scheme, a.target);
    const uint64_t bytes = target.counted_bytes(model, plan, tokenizer, a.options);
    table.add({plan.label, fmt::format("{}", bytes), fmt::format("{:.3f}", bits_per_weight(bytes, model))});
    json["uniform_plans"].push_back({{"label", plan.label},
                                     {"bytes", bytes},
                                     {"bits_per_weight", bits_per_weight(bytes, model)},
                                     {"fallbacks", fallback_lines(plan)}});
  }
  if (a.json.write(json, console)) return;
  fmt::print(console.out, "{}\nbudget {} = {} bytes\n{} components would be measured\n", table.str(console.width()),
             a.budget, budget, components);
}

}  // namespace

void add_run(CLI::App& app, Console& console) {
  auto* command =
      app.add_subcommand("run", "The whole chain: calibrate, diagnose, plan, quantize, export, evaluate, report");
  auto a = std::make_shared<Arguments>();
  add_model(*command, a->io, a->model);
  command->add_option("--budget", a->budget, "+10% (over uniform int4), 4.5bpw, 3.8GiB, 16950144 or 50% (of 16 bit)")
      ->capture_default_str();
  add_target(*command, a->target);
  command->add_option("-o,--output", a->output, "Run directory; the same one again goes on where it stopped")
      ->capture_default_str();
  a->io.writes_folder("--output", a->output,
                      {"manifest.json", "calibration.safetensors", "diagnosis.json", "plan.json", "model.gguf",
                       "model/", "evaluation.json", "report.html", "work/", "work/sweep/"});
  command->add_flag("--force", a->force, "Replace the run of another model in the run directory");
  add_input(*command, a->io, "--calibration", a->calibration,
            "Text to calibrate and diagnose on; a built-in text by default");
  command
      ->add_option("--calibration-windows", a->calibration_windows,
                   "Calibrate on N windows, evenly spaced over the text; 0: all")
      ->check(count_range())
      ->capture_default_str();
  command
      ->add_option("--diagnose-windows", a->diagnose_windows,
                   "Diagnose on N windows of the same text, evenly spaced; 0: all")
      ->check(count_range())
      ->capture_default_str();
  command->add_option("--scheme", a->scheme, "Scheme of the isolated measurements")->capture_default_str();
  a->data.add(*command, a->io, true);
  add_export_options(*command, a->options);
  command->add_flag("--strict", a->strict, "Text shared between calibration and evaluation is an error");
  command->add_option("--seed", a->seed, "Recorded with the run; today's stages draw no random numbers")
      ->capture_default_str();
  command->add_flag("--dry-run", a->dry_run, "Only print sizes and what would be measured");
  a->compute.add(*command);
  a->json.add(*command, a->io);
  command->callback([a, &console] {
    a->io.check();
    find_target(a->target);  // says what is not supported yet
    Budget::parse(a->budget);
    if (a->dry_run) return dry_run(*a, console);
    Run(*a, console).execute();
  });
}

}  // namespace vernier
