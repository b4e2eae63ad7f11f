#include "ops/mixed_arithmetic.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include "ops/avx512_kernels.h"
#include "ops/torch_version.h"

namespace vernier {

namespace {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
bool autocast_is_on(at::DeviceType device) { return at::autocast::is_autocast_enabled(device); }
void turn_autocast(at::DeviceType device, bool on) { at::autocast::set_autocast_enabled(device, on); }
at::ScalarType autocast_type(at::DeviceType device) { return at::autocast::get_autocast_dtype(device); }
void set_autocast_type(at::DeviceType device, at::ScalarType type) { at::autocast::set_autocast_dtype(device, type); }
#else
bool autocast_is_on(at::DeviceType device) {
  return device == at::kCPU ? at::autocast::is_cpu_enabled() : at::autocast::is_enabled();
}
void turn_autocast(at::DeviceType device, bool on) {
  device == at::kCPU ? at::autocast::set_cpu_enabled(on) : at::autocast::set_enabled(on);
}
at::ScalarType autocast_type(at::DeviceType device) {
  return device == at::kCPU ? at::autocast::get_autocast_cpu_dtype() : at::autocast::get_autocast_gpu_dtype();
}
void set_autocast_type(at::DeviceType device, at::ScalarType type) {
  device == at::kCPU ? at::autocast::set_autocast_cpu_dtype(type) : at::autocast::set_autocast_gpu_dtype(type);
}
#endif

}  // namespace

bool multiplies_bfloat16(const at::Device& device) {
  return !device.is_cpu() || avx512_kernels(ComputeType::kBFloat16) != nullptr;
}

at::Tensor matrix_product(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != at::kBFloat16 || multiplies_bfloat16(a.device())) return at::matmul(a, b);
  return at::matmul(a.to(at::kFloat), b.to(at::kFloat)).to(at::kBFloat16);
}

MixedArithmetic::MixedArithmetic(bool on, const at::Device& device)
    : device_(device.type()), was_on_(autocast_is_on(device_)), type_before_(autocast_type(device_)) {
  set_autocast_type(device_, at::kBFloat16);
  turn_autocast(device_, on && multiplies_bfloat16(device));
}

MixedArithmetic::~MixedArithmetic() {
  const bool was_used = autocast_is_on(device_) && !was_on_;
  turn_autocast(device_, was_on_);
  set_autocast_type(device_, type_before_);
  if (was_used) at::autocast::clear_cache();  // it holds copies of weights that are about to change
}

bool products_are_mixed(const at::Device& device) { return autocast_is_on(device.type()); }

at::Tensor widened(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kBFloat16 && products_are_mixed(x.device()) ? x.to(at::kFloat) : x;
}

}  // namespace vernier
