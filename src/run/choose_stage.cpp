// Which file is the result: measured, not predicted.

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <string_view>
#include <vector>

#include "base/fail.h"
#include "base/file_identity.h"
#include "base/output_file.h"
#include "run/run_stages.h"
#include "run/source.h"
#include "vernier/planning.h"

namespace vernier {

namespace fs = std::filesystem;

namespace {

void write_copy(const fs::path& from, const fs::path& to) {
  std::ifstream file(from, std::ios::binary);
  OutputFile copy(to);
  std::vector<char> block(size_t{1} << 22);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())) || file.gcount() > 0)
    copy.write(std::string_view(block.data(), static_cast<size_t>(file.gcount())));
  if (!file.eof()) fail(ErrorKind::kIo, "run: {}: cannot be read to its end", from.string());
  copy.commit();
}

/// A finished file under another name. `share`: as a second name of one file where the file system can do that; never
/// with a file that is not the run's own.
void put_in_place(const fs::path& from, const fs::path& named, bool share) {
  const fs::path to = output_target(named);
  fs::path temporary = to;
  temporary += fmt::format(".{}.partial", ::getpid());
  std::error_code code = std::make_error_code(std::errc::not_supported);
  if (share) fs::create_hard_link(from, temporary, code);
  if (!code) fs::rename(temporary, to, code);
  std::error_code gone;
  fs::remove(temporary, gone);  // rename leaves it where both are already names of one file
  if (code) write_copy(from, to);
}

/// What the target wrote: the artefact, and what lies beside it where that is a folder. The artefact comes last: a folder
/// without it is not mistaken for a finished one.
void put_output_in_place(const RunContext& run, const fs::path& artefact, const fs::path& to) {
  if (run.target.is_folder()) {
    const fs::path from = artefact.parent_path();
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
      if (!entry.is_regular_file() || entry.path() == artefact) continue;
      const fs::path copy = to.parent_path() / fs::relative(entry.path(), from);
      make_folder(copy.parent_path());
      put_in_place(entry.path(), copy, true);
    }
  }
  put_in_place(artefact, to, true);
}

void keep_source(const RunContext& run) {
  const std::string key = stage_key({"source", model_hash(run.model), run.options.budget});
  Plan plan = plan_as_stored(run.model, source_label(run.model), run.options.target);
  plan.budget_text = run.options.budget;
  plan.budget_bytes = run.inputs.budget_bytes;
  plan.provenance = {{"model_hash", model_hash(run.model)}};
  run.directory.stage("choose plan", key, "plan.json",
                      [&](const fs::path& path) { write_json(path, plan_to_json(plan)); });
  run.directory.stage("choose model", key, chosen_file(run.target),
                      [&](const fs::path& path) { put_in_place(run.model.source().path, path, false); });
}

}  // namespace

/// The plan, unless a uniform file that fits as well turned out better; the mean says that only of plans for the mean. And
/// the source where it fits as it is, since damage is the distance to it.
size_t choose_stage(const RunContext& run, const std::vector<RunCandidate>& candidates,
                    const std::vector<EvaluationRow>& rows) {
  if (source_fits(run.model, run.target, run.inputs.budget_bytes)) {
    keep_source(run);
    return 0;
  }
  size_t best = rows.size() - 1;
  const bool by_mean = run.options.objective.kind == PlanObjective::Kind::kMean;
  for (size_t i = 1; by_mean && i < rows.size(); ++i)
    if (rows[i].text.kl().mean < rows[best].text.kl().mean) best = i;
  const RunCandidate& c = candidates[best - 1];
  if (c.kind != "plan")
    run.progress.warn(fmt::format("{} measured better than the plan and is what {} holds", c.label, run.target.output));
  const std::string key = stage_key({run.directory.hash(c.file), run.directory.hash(c.plan)});
  run.directory.stage("choose plan", key, "plan.json",
                      [&](const fs::path& path) { put_in_place(run.directory.path(c.plan), path, true); });
  run.directory.stage(
      "choose model", key, chosen_file(run.target),
      [&](const fs::path& path) { put_output_in_place(run, run.directory.path(c.file), path); },
      run.target.is_folder());
  return best;
}

}  // namespace vernier
