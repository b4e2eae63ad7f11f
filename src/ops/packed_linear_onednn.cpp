#include <omp.h>

#include <algorithm>
#include <bit>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <tuple>
#include <vector>

#include "base/fail.h"
#include "ops/avx512_kernels.h"
#include "ops/kernels.h"
#include "ops/packed_linear.h"

namespace vernier {

namespace {

using dnnl::memory;

// A block of 256 rows keeps weights and activations of one product in cache; the remainder is padded to kRowPadding.
constexpr int64_t kBlockRows = 256;

dnnl::engine& cpu() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& stream_of_thread() {
  thread_local dnnl::stream stream(cpu());
  return stream;
}

struct Shape {
  int64_t m, k, n, x_stride;
  bool accumulate, bias, bf16;
  auto operator<=>(const Shape&) const = default;
};

struct Product {
  dnnl::matmul primitive;
  memory::desc x, weight, bias, y, scratch;
};

memory::data_type type_of(bool bf16) { return bf16 ? memory::data_type::bf16 : memory::data_type::f32; }

/// Without it the library has no products of bfloat16.
bool has_avx512() {
  constexpr auto kAvx512 = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);
  static const bool has = (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kAvx512) == kAvx512;
  return has;
}

Product make_product(const Shape& s, const memory::desc& weight) {
  // Primitives remember how many threads they were made for: one, since each sequence has a thread of its own.
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  dnnl::primitive_attr attributes;
  // The library's own scratchpad is shared between threads that run one primitive at once, silently.
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (s.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  Product product;
  product.x = memory::desc({s.m, s.k}, type_of(s.bf16), memory::dims{s.x_stride, 1});
  product.y = memory::desc({s.m, s.n}, memory::data_type::f32, memory::dims{s.n, 1});
  if (s.bias) product.bias = memory::desc({1, s.n}, memory::data_type::f32, memory::format_tag::ab);
#if DNNL_VERSION_MAJOR >= 3
  const auto description =
      s.bias ? dnnl::matmul::primitive_desc(cpu(), product.x, weight, product.bias, product.y, attributes)
             : dnnl::matmul::primitive_desc(cpu(), product.x, weight, product.y, attributes);
#else
  const auto operation = s.bias ? dnnl::matmul::desc(product.x, weight, product.bias, product.y)
                                : dnnl::matmul::desc(product.x, weight, product.y);
  const dnnl::matmul::primitive_desc description(operation, attributes, cpu());
#endif
  product.weight = description.weights_desc();
  product.scratch = description.scratchpad_desc();
  product.primitive = dnnl::matmul(description);
  omp_set_num_threads(threads);
  return product;
}

// Shared by all layers of a shape; looked up once per product, made once per shape.
const Product& product_for(Shape shape) {
  static std::shared_mutex mutex;
  static std::map<Shape, Product> products;
  {
    const std::shared_lock lock(mutex);
    const auto it = products.find(shape);
    if (it != products.end()) return it->second;
  }
  const std::unique_lock lock(mutex);
  const auto it = products.find(shape);
  if (it != products.end()) return it->second;
  // The packed layout is the one a full contiguous block prefers; every other shape takes it as given.
  const memory::desc any({shape.k, shape.n}, type_of(shape.bf16), memory::format_tag::any);
  const Shape reference{kBlockRows, shape.k, shape.n, shape.k, false, false, shape.bf16};
  auto packed = products.find(reference);
  if (packed == products.end()) packed = products.emplace(reference, make_product(reference, any)).first;
  if (shape == reference) return packed->second;
  return products.emplace(shape, make_product(shape, packed->second.weight)).first->second;
}

void narrow_row(const float* x, uint16_t* y, int64_t n) {
  static const Avx512Kernels* kernels = avx512_kernels(ComputeType::kBFloat16);
  if (kernels != nullptr && n % Avx512Kernels::kVector == 0)
    kernels->pack_row(x, n, reinterpret_cast<uint32_t*>(y));
  else
    to_bfloat16(x, y, n);
}

void widen_row(const uint16_t* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = std::bit_cast<float>(static_cast<uint32_t>(x[i]) << 16);
}

}  // namespace

struct PackedLinear::Impl {
  memory weight;
  std::vector<float> bias;  ///< empty: none
  bool rounds;              ///< to bfloat16, what is multiplied
  bool bf16;                ///< and multiplies it so; otherwise as the numbers of float32 that it is
};

std::shared_ptr<const PackedLinear::Impl> PackedLinear::pack(const void* weight, int64_t out, int64_t in,
                                                             const float* bias, ComputeType type) {
  auto impl = std::make_shared<Impl>();
  impl->rounds = type == ComputeType::kBFloat16;
  impl->bf16 = impl->rounds && has_avx512();
  std::vector<float> wide;
  if (impl->rounds && !impl->bf16) {
    wide.resize(static_cast<size_t>(out * in));
    widen_row(static_cast<const uint16_t*>(weight), wide.data(), out * in);
    weight = wide.data();
  }
  memory source({{in, out}, type_of(impl->bf16), memory::format_tag::ba}, cpu(), const_cast<void*>(weight));
  const Product& product = product_for({kBlockRows, in, out, in, false, false, impl->bf16});
  impl->weight = memory(product.weight, cpu());
  dnnl::reorder(source, impl->weight).execute(stream_of_thread(), source, impl->weight);
  stream_of_thread().wait();
  if (bias != nullptr) impl->bias.assign(bias, bias + out);
  return impl;
}

void PackedLinear::apply_impl(const Slab& x, const Slab& y, bool accumulate, Arena& scratch) const {
  for (int64_t first = 0; first < x.rows; first += kBlockRows) {
    const Arena::Scope scope(scratch);
    const int64_t rows = padded_rows(std::min(kBlockRows, x.rows - first));
    void* input = x.row(first);
    int64_t x_stride = x.ld;
    if (impl_->rounds) {
      auto* narrow = reinterpret_cast<uint16_t*>(scratch.floats((rows * in_ + 1) / 2));
      for (int64_t r = 0; r < rows; ++r) narrow_row(x.row(first + r), narrow + r * in_, in_);
      input = narrow;
      x_stride = in_;
      if (!impl_->bf16) {
        float* wide = scratch.floats(rows * in_);
        widen_row(narrow, wide, rows * in_);
        input = wide;
      }
    }
    // Into columns of a wider matrix the library has only its reference loops, a hundred times slower.
    const bool aside = y.ld != out_;
    float* output = aside ? scratch.floats(rows * out_) : y.row(first);
    const bool adds = accumulate && !aside;
    const Product& product = product_for({rows, in_, out_, x_stride, adds, !impl_->bias.empty(), impl_->bf16});
    auto* pad = scratch.floats(static_cast<int64_t>(product.scratch.get_size() / sizeof(float)) + 16);
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, memory(product.x, cpu(), input)},
        {DNNL_ARG_WEIGHTS, impl_->weight},
        {DNNL_ARG_DST, memory(product.y, cpu(), output)},
        {DNNL_ARG_SCRATCHPAD, memory(product.scratch, cpu(), pad)},
    };
    if (!impl_->bias.empty())
      arguments.emplace(DNNL_ARG_BIAS, memory(product.bias, cpu(), const_cast<float*>(impl_->bias.data())));
    product.primitive.execute(stream_of_thread(), arguments);
    if (!aside) continue;
    for (int64_t r = first; r < std::min(first + rows, y.rows); ++r, output += out_) {
      if (accumulate)
        add_row(output, y.row(r), out_);
      else
        std::copy_n(output, out_, y.row(r));
    }
  }
}

// Its kernels for AVX-512 block rows and columns, but add up the products of an output in one order; those for AVX2 take
// another one for a few rows.
bool PackedLinear::impl_rows_are_independent() { return has_avx512(); }

void multiply(const Slab& a, const Slab& b, bool transpose_b, const Slab& c) {
  const auto status = dnnl_sgemm('N', transpose_b ? 'T' : 'N', c.rows, c.cols, a.cols, 1.0f, a.data, a.ld, b.data, b.ld,
                                 0.0f, c.data, c.ld);
  if (status != dnnl_success) fail(ErrorKind::kInternal, "sgemm: oneDNN status {}", static_cast<int>(status));
}

std::string matmul_backend() {
  const auto* version = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version->major, version->minor, version->patch);
}

}  // namespace vernier
