#pragma once

// What evaluate --reliability makes of a model in memory, as it is spelled: a scheme for the weights, a rounding of the
// inputs of matrices, and where a model has two towers, one of them.
//
//   parse_subject("int4:channel:sym+int8:token@image");  // W4A8 in the tower that sees
//   parse_subject("+int8:token");                        // weights as they are

#include <optional>
#include <string>

#include "vernier/compute.h"
#include "vernier/stack.h"

namespace vernier {

struct SubjectSpelling {
  std::string name;                          ///< as it was spelled
  std::string scheme;                        ///< "": weights stay
  std::optional<Activations> activations{};  ///< nothing: as all others
  std::optional<Stack> tower{};              ///< nothing: all of the model
};

/// @throws Error{kInvalidArgument} for another tower than image or text, and as Activations::parse
SubjectSpelling parse_subject(const std::string& text);

}  // namespace vernier
