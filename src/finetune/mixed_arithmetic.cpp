#include "finetune/mixed_arithmetic.h"

#include <ATen/autocast_mode.h>

#include "ops/torch_version.h"

namespace vernier {

namespace {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
bool autocast_is_on() { return at::autocast::is_autocast_enabled(at::kCUDA); }
void turn_autocast(bool on) { at::autocast::set_autocast_enabled(at::kCUDA, on); }
at::ScalarType autocast_type() { return at::autocast::get_autocast_dtype(at::kCUDA); }
void set_autocast_type(at::ScalarType type) { at::autocast::set_autocast_dtype(at::kCUDA, type); }
#else
bool autocast_is_on() { return at::autocast::is_enabled(); }
void turn_autocast(bool on) { at::autocast::set_enabled(on); }
at::ScalarType autocast_type() { return at::autocast::get_autocast_gpu_dtype(); }
void set_autocast_type(at::ScalarType type) { at::autocast::set_autocast_gpu_dtype(type); }
#endif

}  // namespace

MixedArithmetic::MixedArithmetic(bool on) : on_(on) {
  if (!on_) return;
  was_on_ = autocast_is_on();
  type_before_ = autocast_type();
  set_autocast_type(at::kBFloat16);
  turn_autocast(true);
}

MixedArithmetic::~MixedArithmetic() {
  if (!on_) return;
  turn_autocast(was_on_);
  set_autocast_type(type_before_);
  at::autocast::clear_cache();  // it holds copies of weights that are about to change
}

}  // namespace vernier
