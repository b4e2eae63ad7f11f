#pragma once

// A mean with its standard error: what every measured number in an artefact is.
//
//   const Measured kl = evaluation.all.kl();  print(kl.mean, kl.standard_error);

namespace vernier {

/// A mean and its standard error over distinct windows or documents (copies of one count as one); NaN (null in JSON) for
/// a single one, which tells nothing.
struct Measured {
  double mean = 0;
  double standard_error = 0;
};

}  // namespace vernier
