#pragma once

// What a GGUF file says about where the model comes from, for a file that is made from it.
//
//   for (const GgufKeyValue& entry : carried_metadata(GgufFile("model.gguf"))) writer.set(entry.key, entry.value);

#include <vector>

#include "format/gguf_file.h"

namespace vernier {

/// Name, authors, licence, languages, tags, sources and recommended sampling (`general.*`), and switches of the tokenizer
/// that no part of TokenizerModel holds; in the order of the file. Nothing that depends on the types of tensors, and not
/// who quantized the source.
std::vector<GgufKeyValue> carried_metadata(const GgufFile& file);

}  // namespace vernier
