#pragma once

// How long work tells a caller where it is. The library itself never prints.
//
//   struct Quiet : vernier::ProgressSink {} quiet;      // ignores everything
//   vernier::diagnose(model, calibration, windows, {}, &quiet);

#include <cstdint>
#include <string_view>

namespace vernier {

/// Whatever a sink throws ends the stage and arrives at its caller: that is how a stage is cancelled. The sink is not
/// called again.
class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  /// What follows after the stage that begins next is foretold to take so many seconds.
  virtual void expect_after(double /*seconds*/) {}
  /// A stage begins: `unit` is what `total` counts ("windows", "components").
  virtual void begin(std::string_view /*stage*/, int64_t /*total*/, std::string_view /*unit*/) {}
  /// `done` of `total`; may be called from any thread, never concurrently.
  virtual void update(int64_t /*done*/) {}
  virtual void end() {}
  /// Something the user should know that is not an error.
  virtual void warn(std::string_view /*message*/) {}
};

}  // namespace vernier
