#include "data/grouped_texts.h"

#include <algorithm>
#include <set>

#include "base/fail.h"
#include "data/named_texts.h"
#include "data/text_domains.h"

namespace vernier {

namespace {

bool is_documents(const std::string& file) { return std::filesystem::path(file).extension() == ".jsonl"; }

/// domains_of() takes an argument that is no file as NAME=FILE.
bool is_named(const std::string& argument) {
  return argument.find('=') != std::string::npos && !std::filesystem::exists(argument);
}

}  // namespace

EvaluationData grouped_diagnosis_windows(const Tokenizer& tokenizer, const std::vector<std::string>& files,
                                         int64_t context, int64_t windows, ProgressSink* progress) {
  if (files.size() == 1 && is_documents(files.front())) {
    const EvaluationData all = *group_windows(tokenizer, files.front(), "", context, progress);
    std::set<std::string> groups;
    for (const Cluster& cluster : all.clusters) groups.insert(cluster.group);
    return balanced_windows(all, windows_per_domain(windows, groups.size()) * static_cast<int64_t>(groups.size()));
  }
  if (const auto file = std::find_if(files.begin(), files.end(), is_documents); file != files.end())
    fail(ErrorKind::kInvalidArgument,
         "data: {}: documents have groups of their own; name them alone, or texts as NAME=FILE", *file);
  if (std::none_of(files.begin(), files.end(), is_named))
    return diagnosis_windows(calibration_text(tokenizer, files, progress), context, windows, progress);
  std::vector<EvaluationData> parts;
  const std::vector<TextDomain> domains = text_domains(tokenizer, files, progress);
  for (const TextDomain& domain : domains)
    parts.push_back(as_group(
        diagnosis_windows(domain.text, context, windows_per_domain(windows, domains.size()), progress), domain.name));
  return joined_windows(parts);
}

}  // namespace vernier
