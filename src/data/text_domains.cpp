#include "data/text_domains.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/hash.h"
#include "data/builtin_texts.h"
#include "data/named_texts.h"

namespace vernier {

std::vector<DomainFiles> domains_of(const std::vector<std::string>& arguments) {
  std::vector<DomainFiles> domains;
  const auto named = [&](const std::string& name) {
    return std::find_if(domains.begin(), domains.end(), [&](const DomainFiles& d) { return d.name == name; });
  };
  for (const std::string& argument : arguments) {
    // A file that is there under that very name is no domain's.
    const size_t sign = std::filesystem::exists(argument) ? std::string::npos : argument.find('=');
    const bool has_name = sign != std::string::npos;
    const std::string file = has_name ? argument.substr(sign + 1) : argument;
    std::string name = has_name ? argument.substr(0, sign) : std::filesystem::path(file).stem().string();
    std::replace(name.begin(), name.end(), '.', '_');
    if (has_name && named(name) != domains.end()) {
      named(name)->files.push_back(file);
      continue;
    }
    std::string own = name;
    for (int number = 2; named(own) != domains.end(); ++number) own = fmt::format("{} {}", name, number);
    domains.push_back({own, {file}});
  }
  return domains;
}

std::vector<TextDomain> text_domains(const Tokenizer& tokenizer, const std::vector<std::string>& arguments,
                                     ProgressSink* progress) {
  std::vector<TextDomain> domains;
  for (const DomainFiles& domain : domains_of(arguments)) {
    const NamedText joined = joined_text(domain.files, progress);
    domains.push_back({domain.name, tokenize_text(tokenizer, joined.names, joined.text)});
  }
  if (!domains.empty()) return domains;
  for (const BuiltinText& text : builtin_calibration_texts())
    domains.push_back({std::string(text.name),
                       tokenize_text(tokenizer, fmt::format("built-in {}", text.name), std::string(text.text))});
  return domains;
}

EvaluationData as_group(EvaluationData data, const std::string& group) {
  for (Cluster& cluster : data.clusters) cluster.group = group;
  return data;
}

EvaluationData joined_windows(const std::vector<EvaluationData>& parts) {
  if (parts.size() == 1) return parts.front();
  EvaluationData joined;
  Hasher hasher;
  for (const EvaluationData& part : parts) {
    const auto before = static_cast<int64_t>(joined.clusters.size());
    joined.name += (joined.name.empty() ? "" : " + ") + part.name;
    joined.context = std::max(joined.context, part.context);
    hasher.add(part.hash);
    for (TokenWindow window : part.windows) {
      window.cluster += before;
      joined.windows.push_back(std::move(window));
    }
    for (Cluster cluster : part.clusters) {
      if (cluster.same_as >= 0) cluster.same_as += before;
      if (cluster.version_of >= 0) cluster.version_of += before;
      joined.clusters.push_back(std::move(cluster));
    }
  }
  joined.hash = hasher.hex();
  return joined;
}

int64_t windows_per_domain(int64_t windows, size_t domains) {
  const auto n = static_cast<int64_t>(domains), least = std::min<int64_t>(windows, 2);  // a standard error takes two
  return std::max(least, (windows + n - 1) / n);
}

}  // namespace vernier
