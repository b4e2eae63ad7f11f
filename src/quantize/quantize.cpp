#include "vernier/quantize.h"

#include <ATen/ATen.h>

#include <mutex>

#include "base/fail.h"
#include "model/requantize.h"
#include "quantize/search_source.h"

namespace vernier {

void check_value_search(const ValueSearch& search, const Model& model) {
  if (search.learns && !model.config().is_language_model())
    fail(ErrorKind::kUnsupported,
         "quantize: {} is of language models, and {} ({}) sees images; choose auto, which it begins from", search.name,
         model.source().name, model.config().family);
}

std::vector<TensorId> tensors_of(const Plan& plan, const Model& model) {
  std::map<std::string, TensorId> left;
  for (const TensorId& id : model.matrices()) left.emplace(name_of(id), id);
  const std::map<std::string, TensorId> all = left;
  std::vector<TensorId> ids;
  for (const PlanEntry& entry : plan.entries) {
    const auto found = all.find(entry.tensor);
    if (found == all.end())
      fail(ErrorKind::kInvalidArgument, "quantize: the plan names {}, which is no matrix of {}; make a plan for it",
           entry.tensor, model.source().name);
    const std::vector<int64_t> shape = model.shape(found->second);
    if (entry.rows != shape[0] || entry.cols != shape[1])
      fail(ErrorKind::kInvalidArgument,
           "quantize: {}: planned for [{}, {}], got [{}, {}]; the plan is of another model", entry.tensor, entry.rows,
           entry.cols, shape[0], shape[1]);
    if (left.erase(entry.tensor) == 0)
      fail(ErrorKind::kInvalidArgument, "quantize: the plan names {} twice", entry.tensor);
    ids.push_back(found->second);
  }
  if (!left.empty())
    fail(ErrorKind::kInvalidArgument, "quantize: the plan leaves out {}; every matrix needs a scheme",
         left.begin()->first);
  return ids;
}

std::map<TensorId, Scheme> schemes_of(const Plan& plan, const Model& model) {
  const std::vector<TensorId> ids = tensors_of(plan, model);
  std::map<TensorId, Scheme> schemes;
  for (size_t i = 0; i < ids.size(); ++i) schemes.emplace(ids[i], Scheme::parse(plan.entries[i].scheme));
  return schemes;
}

namespace {

/// A stack on its own, and its search.
struct SearchedStack {
  SearchedStack(Model own, Calibration known, const ValueSearch& search, std::map<TensorId, Scheme> planned,
                int threads)
      : model(std::move(own)),
        calibration(std::move(known)),
        schemes(std::move(planned)),
        values(model, calibration, search, schemes, threads) {}

  const Model model;
  const Calibration calibration;
  const std::map<TensorId, Scheme> schemes;
  SearchSource values;
};

TensorId in_its_stack(TensorId id) {
  id.stack = Stack::kOnly;
  return id;
}

}  // namespace

/// What copies of a QuantizedModel share: a layer at a time is prepared for them.
struct QuantizedModel::Searching {
  Searching(const Model& source, const Calibration& known, const ValueSearch& search,
            const std::map<TensorId, Scheme>& planned, int threads) {
    if (source.config().stacks.empty()) {
      stacks[Stack::kOnly] = std::make_unique<SearchedStack>(source, known, search, planned, threads);
      return;
    }
    for (const ModelConfig& config : source.config().stacks) {
      std::map<TensorId, Scheme> own;
      for (const auto& [id, scheme] : planned)
        if (id.stack == config.stack) own.emplace(in_its_stack(id), scheme);
      stacks[config.stack] = std::make_unique<SearchedStack>(
          stack_of(source, config.stack), stack_of(known, config.stack), search, std::move(own), threads);
    }
  }
  SearchSource& source_of(const TensorId& id) { return stacks.at(id.stack)->values; }

  std::mutex mutex;
  std::map<Stack, std::unique_ptr<SearchedStack>> stacks;
};

QuantizedModel::QuantizedModel(const Model& model, const Calibration& calibration, const Plan& plan, int threads)
    : plan_(plan), source_(model), schemes_(schemes_of(plan, model)) {
  const ValueSearch& search = find_value_search(plan.method);
  check_value_search(search, model);
  const bool calibrated = search.needs != ValueSearch::Needs::kNothing;
  if (!calibrated) {
    source_hash_ = model_hash(model);
  } else {
    check_calibration(calibration, model);
    source_hash_ = calibration.model_hash;
  }
  source_.release_pages();  // the hash has read all of them
  searching_ =
      std::make_shared<Searching>(source_, calibrated ? calibration : Calibration(), search, schemes_, threads);
}

StoredMatrix QuantizedModel::stored(const TensorId& id) const {
  const Scheme& scheme = schemes_.at(id);
  if (keeps_stored(source_, id, scheme)) return *source_.stored(id);
  const std::vector<std::byte> bytes = [&] {
    const std::lock_guard lock(searching_->mutex);
    return searching_->source_of(id).search(in_its_stack(id));
  }();
  const std::vector<int64_t> shape = source_.shape(id);
  return {scheme, {shape[0], shape[1]}, bytes};
}

at::Tensor QuantizedModel::values(const TensorId& id) const {
  if (schemes_.contains(id)) return stored(id).values();
  const std::lock_guard lock(searching_->mutex);
  const bool in_a_stack = searching_->stacks.contains(id.stack);  // the scale of CLIP's logits is in none
  const at::Tensor values = in_a_stack ? searching_->source_of(id).weight(in_its_stack(id)) : source_.weight(id);
  return values.detach().to(at::kFloat).contiguous();
}

SearchEffect QuantizedModel::search_effect() const {
  const std::lock_guard lock(searching_->mutex);
  SearchEffect effect{source_hash_, plan_.method, {}};
  for (const auto& [stack, searched] : searching_->stacks)
    for (const auto& [id, left] : searched->values.left()) {
      TensorId in_model = id;
      in_model.stack = stack;
      effect.left[in_model] = left;
    }
  return effect;
}

Model QuantizedModel::in_memory(ProgressSink* progress) const {
  Model model(source_.config(), source_.source());
  if (progress != nullptr) progress->begin("quantize", static_cast<int64_t>(schemes_.size()), "tensors");
  int64_t done = 0;
  for (const TensorId& id : source_.tensors()) {
    if (!schemes_.contains(id)) {  // norms and biases stay as they are
      model.set_weight(id, values(id));
      continue;
    }
    model.set_stored(id, stored(id));
    if (progress != nullptr) progress->update(++done);
  }
  if (progress != nullptr) progress->end();
  return model;
}

QuantizedModel quantize(const Model& model, const Calibration& calibration, const Plan& plan, int threads) {
  return {model, calibration, plan, threads};
}

}  // namespace vernier
