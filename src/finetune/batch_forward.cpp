#include "finetune/batch_forward.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.h"
#include "finetune/pair_forward.h"
#include "ops/block_forward.h"

namespace vernier {

at::Tensor sent(const at::Tensor& t, const at::Device& device) {
  return device.is_cuda() ? t.pin_memory().to(device, t.scalar_type(), /*non_blocking=*/true) : t.to(device);
}

void check_trainable(const Model& model, const TrainingData& data) {
  const ModelConfig& config = model.config();
  const bool pairs = !config.stacks.empty(), sees = pairs || (config.reads_images() && config.read_out.classes > 0);
  if (!config.is_language_model() && !sees)
    fail(ErrorKind::kUnsupported,
         "finetune: {} ({}): expected a language model, a classifier of images, or a model of images and texts",
         model.source().name, config.family);
  if (data.size() == 0) fail(ErrorKind::kInvalidArgument, "finetune: {}: no examples", data.name);
  if (sees != data.pixels.defined())
    fail(ErrorKind::kInvalidArgument, "finetune: {} takes {}, {} holds {}", model.source().name,
         sees ? "labelled images" : "texts", data.name, sees ? "texts" : "images");
  if (pairs && (data.classes < 1 || data.prompts.empty()))
    fail(ErrorKind::kInvalidArgument, "finetune: {} tells classes apart by prompts; {} has none", model.source().name,
         data.name);
  for (const TokenWindow& window : data.windows) {
    const auto [least, most] = std::minmax_element(window.tokens.begin(), window.tokens.end());
    if (*least < 0 || *most >= config.vocabulary)
      fail(ErrorKind::kInvalidArgument, "finetune: {}: ids from {} to {}: expected 0 to {}; wrong tokenizer?",
           data.name, *least, *most, config.vocabulary - 1);
  }
  if (data.piece_starts.empty()) return;
  bool fits = data.piece_starts.size() == data.windows.size();
  for (size_t w = 0; fits && w < data.windows.size(); ++w)
    for (const int32_t start : data.piece_starts[w])
      fits = fits && start >= 1 && start < static_cast<int64_t>(data.windows[w].tokens.size());
  if (!fits)
    fail(ErrorKind::kInvalidArgument, "finetune: {}: pieces that begin outside their windows, or of other windows",
         data.name);
}

namespace {

ExampleBatch image_batch(const TrainingData& data, std::span<const int64_t> examples, const at::Device& device) {
  const at::Tensor index = at::tensor(std::vector<int64_t>(examples.begin(), examples.end()), at::kLong);
  const at::Tensor labels = at::tensor(data.labels, at::kInt).to(at::kLong).index_select(0, index);
  ExampleBatch batch;
  batch.inputs = sent(data.pixels.index_select(0, index), device);
  batch.labels = sent(labels.unsqueeze(1), device);
  if (!data.prompts.empty()) add_texts(data, examples, labels, batch);
  return batch;
}

ExampleBatch text_batch(const TrainingData& data, std::span<const int64_t> examples, const at::Device& device,
                        int64_t rows) {
  for (const int64_t i : examples)  // the last token predicts nothing
    rows = std::max(rows, static_cast<int64_t>(data.windows[static_cast<size_t>(i)].tokens.size()) - 1);
  const at::Tensor inputs = at::zeros({static_cast<int64_t>(examples.size()), rows}, at::kLong);
  const at::Tensor labels = at::full({static_cast<int64_t>(examples.size()), rows}, -1, at::kLong);
  int64_t* input = inputs.data_ptr<int64_t>();
  int64_t* label = labels.data_ptr<int64_t>();
  for (const int64_t i : examples) {
    const TokenWindow& window = data.windows[static_cast<size_t>(i)];
    for (size_t t = 0; t + 1 < window.tokens.size(); ++t) {
      input[t] = window.tokens[t];
      if (static_cast<int64_t>(t) >= window.first_row) label[t] = window.tokens[t + 1];
    }
    if (!data.piece_starts.empty())
      for (const int32_t start : data.piece_starts[static_cast<size_t>(i)]) label[start - 1] = -1;
    input += rows;
    label += rows;
  }
  ExampleBatch batch;
  batch.inputs = sent(inputs, device);
  batch.labels = sent(labels, device);
  return batch;
}

}  // namespace

ExampleBatch batch_of(const TrainingData& data, std::span<const int64_t> examples, const at::Device& device,
                      int64_t rows) {
  return data.pixels.defined() ? image_batch(data, examples, device) : text_batch(data, examples, device, rows);
}

BatchForward::BatchForward(const Model& model, int64_t rows, const at::Device& device, const How& how)
    : model_(model), how_(how) {
  if (!model.config().stacks.empty()) return;
  const AtenModel* beside = how.beside != nullptr && how.beside->ready_ ? &*how.beside->ready_ : nullptr;
  ready_.emplace(model, rows,
                 AtenModel::Place{.device = device,
                                  .inputs = how.inputs,
                                  .own_tensors = true,
                                  .kernel_attention = how.kernel_attention,
                                  .once = how.once,
                                  .angles = beside});
}

Answered BatchForward::answers(const ExampleBatch& batch) const {
  if (!ready_) return pair_answers(model_, batch, how_.inputs);
  const AtenModel& ready = *ready_;
  const bool sees = batch.inputs.dim() == 4;
  const PatchConfig& patches = ready.config().patches;
  const int64_t first_row = !sees ? 0 : batch.seen_patches.defined() ? batch.seen_patches.size(1) : patches.count();
  const int64_t rows = sees ? first_row + patches.learned_rows() : batch.inputs.size(1);
  AtenOps ops = ready.ops(rows);
  Answered answered;
  answered.labels = batch.labels;
  answered.once = how_.once;
  at::Tensor stream = sees ? ready.embed_images(ops, batch.inputs, batch.seen_patches) : ready.embed(batch.inputs);
  if (how_.streams_need_gradients) stream = stream.detach().set_requires_grad(true);
  const int depth = ready.config().depth();
  for (int layer = 0; layer < depth; ++layer) {
    stream = run_block(ops, ready.block(layer), stream, layer + 1 == depth ? first_row : 0);
    answered.streams.push_back(stream);
  }
  const at::Tensor hidden = ready.finish(ops, stream, depth, first_row);
  answered.logits = sees ? ready.read_out(ops, hidden, at::zeros({hidden.size(0)}, batch.labels.options())).unsqueeze(1)
                         : ready.logits_by(ready.head(), hidden);
  return answered;
}

at::Tensor BatchForward::states(const at::Tensor& ids) const {
  return ready_->finish(ready_->ops(ids.size(1)), ready_->embed(ids), 0, 0);
}

at::Tensor BatchForward::logits_of(const at::Tensor& states) const { return ready_->logits_by(ready_->head(), states); }

int64_t BatchForward::width() const { return ready_->config().hidden; }

int64_t longest_rows(const TrainingData& data) {
  size_t longest = 2;
  for (const TokenWindow& window : data.windows) longest = std::max(longest, window.tokens.size());
  return static_cast<int64_t>(longest) - 1;  // the last token predicts nothing
}

Answered batch_answers(const Model& model, const ExampleBatch& batch, const RoundedInputs& inputs) {
  const int64_t rows = batch.inputs.dim() == 4 ? 1 : batch.inputs.size(1);
  return BatchForward(model, rows, batch.inputs.device(), {.inputs = inputs}).answers(batch);
}

Answered beside(Answered judged, const Answered& teacher) {
  judged.teacher = teacher.logits;
  judged.teacher_pairs = teacher.pairs;
  judged.teacher_streams = teacher.streams;
  return judged;
}

}  // namespace vernier
