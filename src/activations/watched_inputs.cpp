#include "activations/watched_inputs.h"

#include "engine/read_out.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

class WatchedWindows : public WatchedModel {
 public:
  WatchedWindows(std::unique_ptr<PreparedModel> ready, const EvaluationData& data)
      : ready_(std::move(ready)), data_(data) {}

  void watch(size_t first, size_t count, const SiteWatcher& watcher, const LayersDone& done) override {
    std::vector<Sequence> sequences;
    for (size_t w = first; w < first + count; ++w) sequences.push_back({data_.windows[w].tokens});
    ready_->watch(sequences, watcher, done);
  }

  const PreparedModel& ready() const { return *ready_; }

 private:
  std::unique_ptr<PreparedModel> ready_;
  const EvaluationData& data_;
};

class WindowsOfText : public WatchedInputs {
 public:
  explicit WindowsOfText(const EvaluationData& data) : data_(data) {}

  std::string name() const override { return data_.name; }
  std::string hash() const override { return data_.hash; }
  const char* unit() const override { return "windows"; }
  size_t count() const override { return data_.windows.size(); }
  int64_t rows() const override {
    int64_t tokens = 0;
    for (const TokenWindow& window : data_.windows) tokens += static_cast<int64_t>(window.tokens.size());
    return tokens;
  }
  bool has_positions(Site) const override { return true; }
  std::optional<int64_t> first_query(size_t window) const override { return data_.windows[window].first_row; }
  std::unique_ptr<WatchedModel> prepare(const Engine& engine, const Model& model, PrepareOptions options,
                                        const WatchedModel* beside) const override {
    options.positions = data_.longest();
    if (const auto* other = dynamic_cast<const WatchedWindows*>(beside)) options.beside = &other->ready();
    return std::make_unique<WatchedWindows>(engine.prepare(model, options), data_);
  }

 private:
  const EvaluationData& data_;
};

class WatchedAnswers : public WatchedModel {
 public:
  WatchedAnswers(std::unique_ptr<AnsweringModel> ready, const ModelConfig& stack, const VisionInputs& data, int workers)
      : ready_(std::move(ready)), stack_(stack), data_(data), workers_(workers) {}

  void watch(size_t first, size_t count, const SiteWatcher& watcher, const LayersDone& done) override {
    parallel_for(static_cast<int64_t>(count), workers_, [&](int64_t i, int worker) {
      const auto place = static_cast<size_t>(i);
      const auto own = [&](const SiteId& site, const Slab& rows) { watcher(place, site, rows); };
      if (stack_.reads_images()) {
        const std::vector<float> pixels = data_.pixels(static_cast<int64_t>(first) + i);
        ready_->watch(worker, std::span(pixels), own);
      } else {
        ready_->watch(worker, std::span(data_.texts[first + place]), own);
      }
      if (done) done(stack_.depth());
    });
  }

 private:
  std::unique_ptr<AnsweringModel> ready_;
  const ModelConfig& stack_;
  const VisionInputs& data_;
  int workers_;
};

class AnsweredInputs : public WatchedInputs {
 public:
  AnsweredInputs(const ModelConfig& stack, const VisionInputs& data) : stack_(stack), data_(data) {}

  std::string name() const override { return data_.name; }
  std::string hash() const override { return data_.hash; }
  const char* unit() const override { return stack_.reads_images() ? "images" : "prompts"; }
  size_t count() const override {
    return stack_.reads_images() ? static_cast<size_t>(data_.images) : data_.texts.size();
  }
  int64_t rows() const override {
    if (stack_.reads_images()) return data_.images * stack_.patches.rows();
    int64_t tokens = 0;
    for (const std::vector<int32_t>& text : data_.texts)
      tokens += static_cast<int64_t>(read_tokens(stack_, std::span(text)).size());
    return tokens;
  }
  bool has_positions(Site site) const override { return site != Site::kOutputInput && site != Site::kDistilledInput; }
  std::optional<int64_t> first_query(size_t) const override {
    if (stack_.reads_images()) return std::nullopt;  // the first row is a patch like any other
    return 1;                                        // the first token sees itself alone
  }
  std::unique_ptr<WatchedModel> prepare(const Engine& engine, const Model& model, PrepareOptions options,
                                        const WatchedModel*) const override {
    for (const std::vector<int32_t>& text : data_.texts)
      options.positions = std::max(options.positions, static_cast<int64_t>(text.size()));
    return std::make_unique<WatchedAnswers>(engine.prepare_answers(model, options), stack_, data_, engine.workers());
  }

 private:
  const ModelConfig& stack_;
  const VisionInputs& data_;
};

}  // namespace

std::unique_ptr<WatchedInputs> windows_of_text(const EvaluationData& data) {
  return std::make_unique<WindowsOfText>(data);
}

std::unique_ptr<WatchedInputs> answered_inputs(const ModelConfig& stack, const VisionInputs& data) {
  return std::make_unique<AnsweredInputs>(stack, data);
}

}  // namespace vernier
