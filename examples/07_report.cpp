// 07_report MODEL TEXT OUT: what the exported file costs against the original, as OUT/report.html, one page without a
// network. Wants what 04 and 06 wrote. (`vernier run` makes the full page; its sections may each be left out.)

#include <filesystem>

#include "example.h"
#include "vernier/evaluation_file.h"
#include "vernier/report.h"
#include "vernier/version.h"

namespace {

using Json = nlohmann::ordered_json;

vernier::EvaluationRow row_of(const std::string& label, const std::string& kind, uint64_t bytes,
                              const vernier::Model& model) {
  return {.label = label,
          .kind = kind,
          .bytes = bytes,
          .bits_per_weight = 8.0 * static_cast<double>(bytes) / static_cast<double>(model.parameters()),
          .budget_fits = kind == "plan"};
}

/// The page has the figures of a row's text beside its label.
Json flat(Json row) {
  const Json text = row["text"];
  row.erase("text");
  row.erase("groups");
  row.update(text);
  return row;
}

void report(char** argv) {
  const std::string out = argv[3];
  const vernier::Model model = vernier::load_model(argv[1]);
  const vernier::Model planned = vernier::load_model(out + "/model.gguf");
  const vernier::Tokenizer tokenizer(vernier::load_tokenizer_of(model.source().path));
  const vernier::EvaluationData data = vernier::text_windows(tokenizer, argv[2], vernier::read_text_file(argv[2]).text,
                                                             {.context = 256, .max_windows = 16});
  const uint64_t before = 2 * static_cast<uint64_t>(model.parameters());
  const uint64_t after = std::filesystem::file_size(out + "/model.gguf");

  const vernier::Evaluation evaluation = vernier::evaluate({&planned}, &model, data)[0];
  vernier::EvaluationFile file = vernier::evaluation_file(evaluation);
  file.rows.push_back(row_of("16 bit", "reference", before, model));
  file.rows.back().text = vernier::scores_of_reference(evaluation.all);
  file.rows.push_back(vernier::evaluation_row(row_of("planned", "plan", after, model), evaluation));
  const Json measured = vernier::evaluation_file_to_json(file);  // also what evaluation.json would hold

  Json page;
  page["schema_version"] = 1;
  page["title"] = model.source().name;
  page["provenance"] = {{"tool_version", VERNIER_VERSION}, {"options", Json::object()}, {"artefacts", Json::object()}};
  page["provenance"]["model"] = {{"name", model.source().name}, {"hash", vernier::model_hash(model)}};
  page["results"]["budget_bytes"] = after;
  page["results"]["metrics"] = measured["metrics"];
  page["results"]["rows"] = {flat(measured["rows"][0]), flat(measured["rows"][1])};
  page["groups"] = nullptr;
  page["diagnosis"] = Json::parse(example::read_text(out + "/diagnosis.json"));
  page["plan"] = nullptr;
  vernier::write_report(out + "/report.html", page);
  std::printf("%s/report.html: KL %.5f nats at %.3f bits per weight%s\n", out.c_str(), evaluation.all.kl().mean,
              file.rows[1].bits_per_weight, vernier::report_has_charts() ? "" : " (this build's page has no charts)");
}

}  // namespace

int main(int argc, char** argv) { return example::run(argc, argv, "MODEL TEXT OUT", report); }
