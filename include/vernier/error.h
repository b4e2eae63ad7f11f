#pragma once

// The only exception type that leaves the library.
//
//   try { vernier::load_model("models/demo-5m"); }
//   catch (const vernier::Error& e) { if (e.kind() == vernier::ErrorKind::kBadFile) print(e.what()); }
//
// A message names stage, tensor (or file), what was got, what was expected and what to try next: "quantize:
// blk.3.ffn_down: expected a row length divisible by 256, got 100; try gguf:q8_0".

#include <stdexcept>
#include <string>
#include <utility>

namespace vernier {

enum class ErrorKind {
  kInvalidArgument,  ///< the caller asked for something that cannot be
  kBadFile,          ///< a file's content is broken or hostile
  kUnsupported,      ///< valid, but beyond this version
  kInfeasible,       ///< no plan meets the budget
  kIo,               ///< the operating system refused
  kInternal,         ///< our own bug
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace vernier
