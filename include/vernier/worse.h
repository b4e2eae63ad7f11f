#pragma once

// Which way a figure of a model gets worse.

namespace vernier {

enum class Worse { kHigher, kLower, kNeither };

}  // namespace vernier
