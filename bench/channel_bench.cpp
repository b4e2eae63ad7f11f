// channel_bench MODEL TEXT SCHEME [channels]: how well a screen ranks input and output channels. So many channels, half of them inputs,
// are drawn at random from all matrices of layers; each is quantized alone and measured exactly on windows between the
// screened ones. A line each for inputs and outputs: Spearman, and the predicted over the exact total.

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <random>
#include <vector>

#include "base/fail.h"
#include "base/statistics.h"
#include "diagnose/quantized_weights.h"
#include "engine/engine.h"
#include "vernier/screen.h"
#include "vernier/tokenizer.h"

namespace vernier {

namespace {

struct Channel {
  TensorId tensor;
  bool input = true;
  int64_t index = 0;
  double foretold = 0, exact = 0;  ///< nats per token
};

std::vector<Channel> drawn_channels(const Screen& screen, int64_t count) {
  std::vector<Channel> inputs, outputs;
  for (const ChannelScores& scores : screen.channels) {
    if (scores.tensor.layer < 0) continue;
    for (const bool input : {true, false}) {
      const std::vector<float>& damage = (input ? scores.input_damage : scores.output_damage).at(0);
      for (size_t i = 0; i < damage.size(); ++i)
        (input ? inputs : outputs).push_back({scores.tensor, input, static_cast<int64_t>(i), damage[i]});
    }
  }
  std::mt19937_64 random(1);
  std::vector<Channel> drawn;
  for (std::vector<Channel>* all : {&inputs, &outputs}) {
    std::shuffle(all->begin(), all->end(), random);
    drawn.insert(drawn.end(), all->begin(), all->begin() + std::min<int64_t>(count / 2, std::ssize(*all)));
  }
  return drawn;
}

void measure(const Model& model, const EvaluationData& data, const QuantizedWeights& quantized,
             std::vector<Channel>& channels) {
  const std::unique_ptr<Sweep> sweep = make_engine({})->sweep(model, data, ComputeType::kFloat32);
  for (int layer = 0; layer < model.config().depth(); ++layer) {
    std::vector<Perturbation> perturbations;
    std::vector<Channel*> own;
    std::map<TensorId, at::Tensor> values;
    for (Channel& channel : channels) {
      if (channel.tensor.layer != layer) continue;
      at::Tensor& value = values[channel.tensor];
      if (!value.defined()) value = quantized.make(channel.tensor);
      perturbations.push_back({component_of(channel.tensor), [&model, &channel, value](const TensorId& id) {
                                 const at::Tensor weight = model.weight(id).to(at::kFloat).clone();
                                 const int64_t axis = channel.input ? 1 : 0;
                                 weight.select(axis, channel.index).copy_(value.select(axis, channel.index));
                                 return weight;
                               }});
      own.push_back(&channel);
    }
    const auto sums = sweep->layer(Stack::kOnly, layer, perturbations, [] {});
    for (size_t i = 0; i < sums.size(); ++i) {
      double kl = 0, tokens = 0;
      for (const DamageSums& window : sums[i]) kl += window.kl, tokens += window.tokens;
      own[i]->exact = kl / tokens;
    }
  }
}

void print_line(const std::vector<Channel>& channels, bool input) {
  std::vector<double> foretold, exact;
  double sum_foretold = 0, sum_exact = 0;
  for (const Channel& channel : channels) {
    if (channel.input != input) continue;
    foretold.push_back(channel.foretold);
    exact.push_back(channel.exact);
    sum_foretold += channel.foretold;
    sum_exact += channel.exact;
  }
  fmt::print("{} {} channels, exact KL {:.2g} to {:.2g} nats: Spearman {:.3f}, predicted over exact total {:.2f}\n",
             foretold.size(), input ? "input" : "output", *std::min_element(exact.begin(), exact.end()),
             *std::max_element(exact.begin(), exact.end()), spearman(foretold, exact), sum_foretold / sum_exact);
}

void run(const std::string& path, const std::string& text, const std::string& scheme, int64_t count) {
  configure_process(resolve_threads({}));
  const Model model = load_model(path);
  const Tokenizer tokenizer(load_tokenizer_of(model.source().path));
  const EvaluationData all = text_windows(tokenizer, text, read_text_file(text).text,
                                          {.context = 512, .max_windows = 48, .score_all = true, .spread = true});
  EvaluationData screened = all, exact = all;
  screened.windows.clear();
  exact.windows.clear();
  for (size_t w = 0; w < all.windows.size(); ++w) (w % 3 == 2 ? exact : screened).windows.push_back(all.windows[w]);
  const Calibration calibration = calibrate(model, screened);
  const Screen screened_as = screen(model, calibration, {{"own", screened}}, {.schemes = {scheme}, .channels = true});
  DiagnoseOptions options;
  options.scheme = scheme;
  const QuantizedWeights quantized(model, calibration, options, resolve_threads({}));
  std::vector<Channel> channels = drawn_channels(screened_as, count);
  measure(model, exact, quantized, channels);
  for (const bool input : {true, false}) print_line(channels, input);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "channel_bench MODEL TEXT SCHEME [channels]\n");
    return 2;
  }
  try {
    vernier::run(argv[1], argv[2], argv[3], argc > 4 ? std::max(4, std::atoi(argv[4])) : 200);
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "channel_bench: {}\n", e.what());
    return 1;
  }
}
