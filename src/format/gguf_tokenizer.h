#pragma once

// How a tokenizer lies in a GGUF file's metadata (`tokenizer.ggml.*`), in both directions.
//
//   add_tokenizer(writer, model, /*vocabulary=*/32000, /*pre=*/"");
//   TokenizerModel same = read_tokenizer(GgufFile("model.gguf"));

#include <string>

#include "format/gguf_file.h"
#include "format/gguf_writer.h"
#include "vernier/tokenizer.h"

namespace vernier {

/// Token lists shorter than `vocabulary` are padded as converters do. `pre` is tokenizer.ggml.pre, written as it is; ""
/// derives it from the pre-tokenizer expressions.
/// @throws Error{kUnsupported} when they have no name in llama.cpp; Error{kInvalidArgument} when the vocabulary is
///         smaller
void add_tokenizer(GgufWriter& writer, const TokenizerModel& model, int64_t vocabulary, const std::string& pre);

/// A file without tokenizer.ggml.pre is read by llama.cpp's default rule, with a warning in the result.
/// @throws Error{kBadFile} for lists that do not fit, {kUnsupported} for other tokenizers than "gpt2" (byte-level BPE) and
///         "llama" (SentencePiece's pairs)
TokenizerModel read_tokenizer(const GgufFile& file);

}  // namespace vernier
