#pragma once

// Calibration texts as named domains: a ranking belongs to a text, so that each is screened on its own.
//
//   for (const TextDomain& domain : text_domains(tokenizer, {"wiki=wiki.txt", "code.txt"}, &progress))
//     print(domain.name, domain.text.tokens.size());   // wiki, code

#include <string>
#include <vector>

#include "data/tokenized_text.h"
#include "vernier/data.h"
#include "vernier/progress.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// Files that are one domain.
struct DomainFiles {
  std::string name;
  std::vector<std::string> files;
};
/// "NAME=FILE": files of one name are joined. A file alone is a domain by its name without extension; where that is taken
/// it gets a number. Names have no dots, which separate what a screen stores.
std::vector<DomainFiles> domains_of(const std::vector<std::string>& arguments);

struct TextDomain {
  std::string name;
  TokenizedText text;
};
/// The built-in domains where no argument is given. @throws Error{kIo, kBadFile} as read_text_file
std::vector<TextDomain> text_domains(const Tokenizer& tokenizer, const std::vector<std::string>& arguments,
                                     ProgressSink* progress);

/// The same windows, all of one group.
EvaluationData as_group(EvaluationData data, const std::string& group);

/// Windows of several texts as those of one, each text's in their order: what is measured over all domains alike.
EvaluationData joined_windows(const std::vector<EvaluationData>& parts);

/// How many of `windows` each of so many domains gets: evenly, at least 2 where there are 2; 0 stays 0, all.
int64_t windows_per_domain(int64_t windows, size_t domains);

}  // namespace vernier
