#pragma once

// What a file of text for a language model is, by what stands in it: people name one file and need not say which reader it
// takes.

#include <string>

namespace vernier {

enum class TextKind {
  kRunning,    ///< plain text
  kDocuments,  ///< JSON lines with "text"
  kChoices,    ///< JSON lines in the form of HellaSwag or ARC
  kPairs,      ///< CSV in the form of CrowS-Pairs
};

/// By the first line. @throws Error{kIo}; Error{kBadFile} for JSON lines of none of these forms
TextKind kind_of_text(const std::string& path);

}  // namespace vernier
