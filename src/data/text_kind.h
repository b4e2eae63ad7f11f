#pragma once

// What a file of text for a language model is, by what stands in it: people name one file and need not say which reader it
// takes.

#include <string>
#include <string_view>

namespace vernier {

enum class TextKind {
  kRunning,    ///< plain text
  kDocuments,  ///< JSON lines with "text"
  kChoices,    ///< JSON lines in the form of HellaSwag or ARC
  kPairs,      ///< CSV in the form of CrowS-Pairs
};

/// Whether the first line is a JSON object with "text", as of kDocuments.
bool holds_documents(std::string_view text);

/// By the first line. @throws Error{kIo}; Error{kBadFile} for JSON lines of none of these forms
TextKind kind_of_text(const std::string& path);

}  // namespace vernier
