#include "calibrate/gram_pass.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <set>

#include "base/fail.h"
#include "engine/read_out.h"
#include "ops/parallel.h"

namespace vernier {

namespace {

constexpr int64_t kGramTile = 256;  // rows of a sum that are a thread's

/// Rows of the longest input.
int64_t longest_input(const Model& model, const Calibration& calibration) {
  const bool sees = model.config().reads_images();
  size_t positions = 0;
  for (const CalibrationWindow& window : calibration.text) positions = std::max(positions, window.tokens.size());
  if (sees ? !calibration.images.defined() : positions == 0)
    fail(ErrorKind::kInvalidArgument,
         "calibration without its {}, which Gram matrices are made from; calibrate the model again, on {}",
         sees ? "images" : "text", model.config().is_language_model() ? "text" : "images");
  return sees ? model.config().patches.rows() : static_cast<int64_t>(positions);
}

std::vector<size_t> parts_of_inputs(const Model& model, const Calibration& calibration) {
  if (!model.config().reads_images()) return parts_of(calibration.text);
  return parts_of_images(calibration.images.defined() ? calibration.images.size(0) : 0);
}

/// What entered each site, of one window.
using SiteRows = std::map<SiteId, at::Tensor>;

/// Some rows of one part's sum at one site.
struct GramTile {
  SiteId site;
  size_t part;
  int64_t first;
};

std::vector<GramTile> tiles_of(const std::map<SiteId, InputGrams>& all) {
  std::vector<GramTile> tiles;
  for (const auto& [site, grams] : all)
    for (size_t part = 0; part < grams.parts.size(); ++part)
      for (int64_t first = 0; grams.parts[part].defined() && first < grams.parts[part].size(0); first += kGramTile)
        tiles.push_back({site, part, first});
  return tiles;
}

/// Rows of a sum's upper triangle become those of the mean, and the columns below them with these.
void finish_tile(const at::Tensor& sum, int64_t first, double tokens) {
  const int64_t width = sum.size(0), wide = std::min(kGramTile, width - first), rest = width - first - wide;
  const at::Tensor rows = sum.narrow(0, first, wide);
  rows.narrow(1, first, width - first).div_(tokens);
  const at::Tensor own = rows.narrow(1, first, wide), upper = own.triu();
  own.copy_(upper + upper.triu(1).t());
  sum.narrow(0, first + wide, rest).narrow(1, first, wide).copy_(rows.narrow(1, first + wide, rest).t());
}

}  // namespace

std::vector<size_t> parts_of(const std::vector<CalibrationWindow>& text) {
  std::set<int64_t> names;
  for (const CalibrationWindow& window : text) names.insert(window.part);
  std::vector<size_t> parts;
  const bool joined = names.size() > 1 && names.size() <= static_cast<size_t>(kMostParts);
  const size_t pieces = std::min(text.size(), static_cast<size_t>(kMostParts));
  for (size_t w = 0; w < text.size(); ++w)
    parts.push_back(joined ? static_cast<size_t>(std::distance(names.begin(), names.find(text[w].part)))
                           : w * pieces / text.size());
  return parts;
}

std::vector<size_t> parts_of_images(int64_t count) {
  std::vector<size_t> parts;
  for (int64_t i = 0; i < count; ++i) parts.push_back(static_cast<size_t>((i + i / kMostParts) % kMostParts));
  return parts;
}

GramPass::GramPass(const Model& model, const Calibration& calibration, int threads)
    : model_(model),
      calibration_(calibration),
      threads_(threads),
      parts_(parts_of_inputs(model, calibration)),
      fast_(model, ComputeType::kFloat32, longest_input(model, calibration), RoundedInputs{},
            FusedModel::Layers::kLeftOut),
      arenas_(static_cast<size_t>(threads)) {
  restart();
}

Slab GramPass::enter(Arena& arena, size_t input) const {
  if (model_.config().is_language_model()) return fast_.embed(arena, calibration_.text[input].tokens);
  FusedOps ops(arena, fast_.rope());
  if (!model_.config().reads_images()) return fast_.embed_input(ops, std::span(calibration_.text[input].tokens));
  const at::Tensor pixels = calibration_.images[static_cast<int64_t>(input)].to(at::kFloat).contiguous();
  return fast_.embed_input(ops, std::span<const float>(pixels.data_ptr<float>(), static_cast<size_t>(pixels.numel())));
}

void GramPass::restart() {
  next_ = 0;
  grams_.clear();
  streams_.resize(parts_.size());
  rows_.resize(parts_.size());
  parallel_for(static_cast<int64_t>(streams_.size()), threads_, [&](int64_t w, int worker) {
    Arena& arena = arenas_[static_cast<size_t>(worker)];
    const Arena::Scope scope(arena);
    const auto i = static_cast<size_t>(w);
    streams_[i] = to_tensor(enter(arena, i));
    rows_[i] = streams_[i].size(0);
  });
}

void GramPass::run_layer() {
  grams_.clear();
  const FusedBlock block = pack_block(model_, next_, ComputeType::kFloat32);
  model_.release_pages();
  const size_t count = *std::ranges::max_element(parts_) + 1;
  const bool answers = !model_.config().is_language_model() && next_ + 1 == model_.config().depth();
  const bool reads_all = model_.config().is_language_model();
  std::vector<double> tokens(count);
  std::map<SiteId, std::vector<double>> entered;  // rows
  const auto at_once = static_cast<size_t>(threads_);
  for (size_t begin = 0; begin < streams_.size(); begin += at_once) {
    const size_t here = std::min(at_once, streams_.size() - begin);
    std::vector<SiteRows> rows(here);
    parallel_for(static_cast<int64_t>(here), threads_, [&](int64_t place, int worker) {
      const c10::NoGradGuard no_grad;
      const auto i = static_cast<size_t>(place);
      const SiteObserver observer = [&](const SiteId& site, const Slab& x) { rows[i][site] = to_tensor(x); };
      at::Tensor& stream = streams_[begin + i];
      const int64_t first_row = answers ? answering_rows(model_.config(), stream.size(0)) : 0;
      stream = run_block_on(block, fast_.rope(), arenas_[static_cast<size_t>(worker)], stream, first_row, &observer);
    });
    for (size_t i = 0; i < here; ++i) {
      tokens[parts_[begin + i]] += static_cast<double>(rows_[begin + i]);
      for (const auto& [site, x] : rows[i]) {
        entered[site].resize(count);
        entered[site][parts_[begin + i]] += static_cast<double>(x.size(0));
        InputGrams& grams = grams_[site];
        grams.parts.resize(count);
        grams.means.resize(count);
        at::Tensor& sum = grams.parts[parts_[begin + i]];
        at::Tensor& mean = grams.means[parts_[begin + i]];
        if (!sum.defined()) {
          sum = at::zeros({x.size(1), x.size(1)});
          mean = at::zeros({x.size(1)});
        }
        mean.add_(x.sum(0));
      }
    }
    const std::vector<GramTile> tiles = tiles_of(grams_);
    parallel_for(static_cast<int64_t>(tiles.size()), threads_, [&](int64_t t, int) {
      const c10::NoGradGuard no_grad;
      const auto& [site, part, first] = tiles[static_cast<size_t>(t)];
      const at::Tensor& sum = grams_.at(site).parts[part];
      const int64_t width = sum.size(0), wide = std::min(kGramTile, width - first);
      at::Tensor tile = sum.narrow(0, first, wide).narrow(1, first, width - first);  // the upper triangle is enough
      for (size_t i = 0; i < here; ++i) {
        const auto x = rows[i].find(site);
        if (parts_[begin + i] != part || x == rows[i].end()) continue;
        tile.addmm_(x->second.narrow(1, first, wide).t(), x->second.narrow(1, first, width - first));
      }
    });
  }
  // Of an expert, tokens that it did not get count as zeros; of a last layer that answers, rows that nobody reads do not.
  const auto counted = [&](const SiteId& site, size_t part) {
    return reads_all ? tokens[part] : entered.at(site)[part];
  };
  const std::vector<GramTile> tiles = tiles_of(grams_);
  parallel_for(static_cast<int64_t>(tiles.size()), threads_, [&](int64_t t, int) {
    const c10::NoGradGuard no_grad;
    const auto& [site, part, first] = tiles[static_cast<size_t>(t)];
    finish_tile(grams_.at(site).parts[part], first, counted(site, part));
  });
  for (auto& [site, grams] : grams_)
    for (size_t part = 0; part < count; ++part)
      if (grams.means[part].defined()) grams.means[part].div_(counted(site, part));
  ++next_;
}

const InputGrams* GramPass::at(const SiteId& site) {
  if (site.layer < 0 || site.stack != Stack::kOnly) return nullptr;
  if (site.layer < next_ - 1) restart();
  while (next_ <= site.layer) run_layer();
  const auto found = grams_.find(site);
  return found == grams_.end() ? nullptr : &found->second;
}

}  // namespace vernier
