#pragma once

// The stacks of blocks that a model is made of. Most have one.

namespace vernier {

/// Which stack of a model with several: CLIP has one that sees and one that reads.
enum class Stack {
  kOnly,   ///< of a model with one, or what belongs to none in particular
  kImage,  ///< "image.L3.ffn_up"
  kText,   ///< "text.L3.ffn_up"
};

}  // namespace vernier
