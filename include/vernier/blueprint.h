#pragma once

// Every tensor of a configuration, described once: what it is, its shape, what feeds it, and where each kind of file
// holds it. Loading, calibration, components, plans and exporters derive from it.
//
//   const Blueprint plan(config);
//   for (const TensorSpec& tensor : plan.tensors()) print(name_of(tensor.id), tensor.shape, tensor.gguf.name);

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vernier/model_config.h"
#include "vernier/site.h"
#include "vernier/tensor_id.h"

namespace vernier {

/// Where a file holds a tensor: all of one of its own, or a part.
struct FileTensor {
  std::string name;
  std::vector<int64_t> shape;  ///< of the whole stored tensor
  bool transposed = false;     ///< stored [in, out], as GPT-2's Conv1D
  bool less_one = false;       ///< every value is stored less 1
  int64_t slice = -1;          ///< of a stack [slices, out, in]; -1: no stack
  int64_t first_row = 0;       ///< of a fused tensor; counts outputs also where it is transposed
  /// Rows of queries and keys in llama.cpp's order, neighbouring dimensions of a head together: so many heads. 0: in
  /// Hugging Face's, the two halves of a head apart.
  int64_t interleaved_heads = 0;
};

struct TensorSpec {
  TensorId id;
  std::vector<int64_t> shape;     ///< [out, in], or [n]
  std::optional<SiteId> input;    ///< the activations that multiply its columns; nothing for norms, biases and look-ups
  FileTensor hugging_face, gguf;  ///< of a family that llama.cpp does not know, gguf is named as name_of does
};

class Blueprint {
 public:
  /// @throws Error{kInternal} for a family that is not in the table
  explicit Blueprint(const ModelConfig& config);

  /// Stack by stack: embedding, then layer by layer, then what comes after the last layer: the order of exported files.
  const std::vector<TensorSpec>& tensors() const { return tensors_; }
  /// nullptr when the model has none of that role.
  const TensorSpec* find(const TensorId& id) const;
  /// @throws Error{kInternal} when there is none
  const TensorSpec& at(const TensorId& id) const;

 private:
  std::vector<TensorSpec> tensors_;
  std::map<TensorId, size_t> index_;
};

/// A tensor as a file stores it, and what it is made of.
struct StoredTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<const TensorSpec*> parts;  ///< slice by slice, rows in their order
};
/// All of a kind of file, `&TensorSpec::gguf` or `&TensorSpec::hugging_face`, in the order in which their first parts
/// come. The blueprint must outlive them.
std::vector<StoredTensor> stored_tensors(const Blueprint& blueprint, FileTensor TensorSpec::*file);

/// The tensors of one layer, or with -1 those outside of the layers, in the order of exported files. Of a model with
/// several stacks those of none: ask for each stack's configuration.
std::vector<TensorId> tensors_in(const ModelConfig& config, int layer);
/// The shape that a tensor of this configuration must have. @throws Error{kInternal} when it has no such tensor
std::vector<int64_t> shape_of(const ModelConfig& config, const TensorId& id);
/// Whether `a` comes before `b` in a file.
bool comes_before(const TensorId& a, const TensorId& b);

}  // namespace vernier
