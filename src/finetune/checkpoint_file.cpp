#include "finetune/checkpoint_file.h"

#include <ATen/ATen.h>

#include <cstring>
#include <vector>

#include "base/fail.h"
#include "format/safetensors_file.h"
#include "format/safetensors_writer.h"

namespace vernier {

void write_checkpoint(const std::filesystem::path& path, const CheckpointFile& content) {
  SafetensorsWriter writer;
  for (const auto& [key, text] : content.words) writer.set_metadata(key, text);
  std::vector<const at::Tensor*> tensors;
  for (const auto& [name, tensor] : content.tensors) {
    writer.add(name, tensor.scalar_type() == at::kByte ? DType::kU8 : DType::kF32, tensor.sizes().vec());
    tensors.push_back(&tensor);
  }
  writer.write(path, [&](size_t index, const ByteSink& append) {
    const at::Tensor cpu = tensors[index]->detach().to(at::kCPU).contiguous();
    append({static_cast<const std::byte*>(cpu.data_ptr()), cpu.nbytes()});
  });
}

namespace {

SafetensorsFile opened(const std::filesystem::path& path) {
  try {
    return SafetensorsFile(path);
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kBadFile) throw;
    fail(ErrorKind::kBadFile, "finetune: the checkpoint is damaged ({}); delete it to begin again", e.what());
  }
}

}  // namespace

std::optional<CheckpointFile> read_checkpoint(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const SafetensorsFile file = opened(path);
  CheckpointFile content;
  content.words = file.metadata();
  for (const SafetensorsEntry& entry : file.entries()) {
    if (entry.dtype != DType::kU8 && entry.dtype != DType::kF32)
      fail(ErrorKind::kBadFile, "{}: {} is of {}: expected a checkpoint of `vernier finetune`", path.string(),
           entry.name, entry.dtype_name);
    const at::Tensor tensor = at::empty(entry.shape, entry.dtype == DType::kU8 ? at::kByte : at::kFloat);
    if (!entry.data.empty()) std::memcpy(tensor.data_ptr(), entry.data.data(), entry.data.size());
    content.tensors[entry.name] = tensor;
  }
  return content;
}

void require_same_run(const CheckpointFile& file, const std::string& word, const std::string& key,
                      const std::filesystem::path& path) {
  if (const auto found = file.words.find(word); found == file.words.end() || found->second != key)
    fail(ErrorKind::kInvalidArgument,
         "finetune: {} is of another model, plan, data or options; delete it, or name another folder", path.string());
}

const at::Tensor& tensor_of(const std::map<std::string, at::Tensor>& tensors, const std::string& name,
                            const std::string& origin) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) fail(ErrorKind::kBadFile, "{}: no {}; delete the checkpoint to begin anew", origin, name);
  return found->second;
}

const at::Tensor& tensor_of(const std::map<std::string, at::Tensor>& tensors, const std::string& name,
                            at::IntArrayRef shape, const std::string& origin) {
  const at::Tensor& tensor = tensor_of(tensors, name, origin);
  if (tensor.sizes() != shape)
    fail(ErrorKind::kBadFile, "{}: {} is {}, expected {}; delete the checkpoint to begin anew", origin, name,
         c10::str(tensor.sizes()), c10::str(shape));
  return tensor;
}

}  // namespace vernier
