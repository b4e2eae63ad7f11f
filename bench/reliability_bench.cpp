// reliability_bench MODEL MANIFEST [--images 200] [--threads 2] [--bf16]: what evaluating the reliability of a classifier of
// images costs, part by part, how much of it is products, and how long 10,000 images x 16 corruptions x 5 severities with
// FGSM and PGD-10 would take.
//
//   share of products = multiply-adds of a forward / rate of a product alone / what the part took

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "cpu_seconds.h"
#include "packed_rate.h"
#include "reliability/image_subjects.h"
#include "vernier/attacks.h"
#include "vernier/corruptions.h"
#include "vernier/decode_images.h"
#include "vernier/error.h"

namespace vernier {

namespace {

struct Arguments {
  std::string model, manifest;
  int64_t images = 200;
  int threads = 0;
  bool bf16 = false;
};

/// 10^9 operations of one image: products of all rows, of the last layer's only those that the answer needs; attention.
double gflop_of_forward(const Model& model) {
  const ModelConfig& config = model.config();
  const int64_t rows = config.patches.rows(), learned = config.patches.learned_rows();
  double sum = 0;
  for (const TensorId& id : model.matrices()) {
    const std::vector<int64_t> shape = model.shape(id);
    const bool attends =
        id.role == TensorRole::kAttnQ || id.role == TensorRole::kAttnK || id.role == TensorRole::kAttnV;
    const bool all = id.layer >= 0 && (id.layer + 1 < config.depth() || attends);
    const int64_t through = id.role == TensorRole::kPatchEmbedding ? config.patches.count() : all ? rows : learned;
    sum += 2e-9 * static_cast<double>(through * shape[0] * shape[1]);
  }
  for (int layer = 0; layer < config.depth(); ++layer)
    sum += 4e-9 * static_cast<double>(rows * rows * config.layer(layer).attention.query_columns());
  return sum;
}

void run(const Arguments& a) {
  ComputeOptions compute{.type = a.bf16 ? ComputeType::kBFloat16 : ComputeType::kFloat32, .threads = a.threads};
  const int threads = resolve_threads(compute);
  configure_process(threads);
  const Model model = load_model(a.model);
  LabelledImages images = read_manifest(a.manifest, class_names_of(model));
  std::vector<std::filesystem::path> paths;
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < a.images; ++i) {
    const auto all = static_cast<int64_t>(images.images.size());
    const LabelledImage& image = images.images[static_cast<size_t>(i * all / a.images)];
    paths.push_back(image.path);
    labels.push_back(image.label);
  }
  const ImageSubjects subjects({{"model", &model}}, images.classes, {.compute = compute});
  const auto per_image = [&](const Seconds& s) { return 1000 / static_cast<double>(a.images) * s.cpu; };
  const double gflop = gflop_of_forward(model);
  const PackedRate rate = packed_rate(threads, 512, model.config().hidden, 3 * model.config().hidden, compute.type);
  fmt::print("product    {:7.1f} GFLOP per CPU second; a forward of {:.3f} GFLOP takes {:.2f} CPU ms at that\n",
             rate.cpu_gflops, gflop, 1000 * gflop / rate.cpu_gflops);

  subjects.logits(paths, {}, {});  // code generation and first touch
  const double forward = per_image(seconds_of([&] { subjects.logits(paths, {}, {}); }));
  double corrupting = 0;
  for (const Corruption& corruption : corruptions())
    corrupting += per_image(seconds_of([&] {
                    for (size_t i = 0; i < paths.size(); ++i)
                      corrupt(subjects.shaped(paths[i]), corruption, 3,
                              corruption_seed(1, static_cast<int64_t>(i), corruption.key, 3), through_jpeg);
                  })) /
                  static_cast<double>(corruptions().size());
  double decoding = per_image(seconds_of([&] {
    for (const auto& path : paths) subjects.shaped(path);
  }));
  const double products = 1000 * gflop / rate.cpu_gflops / (forward + corrupting - decoding);
  fmt::print("forward    {:7.3f} CPU ms per image, decoding ({:.3f}) included\n", forward, decoding);
  fmt::print("corrupting {:7.3f} CPU ms per image, mean of {} corruptions; {:.0f}% of both is products\n",
             corrupting - decoding, corruptions().size(), 100 * products);

  const ImageLogits logits_of = differentiable_logits(model, {}, subjects.preprocessor(), {.packed = compute.type});
  constexpr size_t kBatch = 25;
  double fooled[2] = {0, 0};
  const auto attacked = [&](int which) {
    return per_image(seconds_of([&] {
      const auto batches = static_cast<int64_t>((paths.size() + kBatch - 1) / kBatch);
      std::vector<double> counts(static_cast<size_t>(batches));
      parallel_for(batches, threads, [&](int64_t b, int) {
        const size_t first = static_cast<size_t>(b) * kBatch, end = std::min(first + kBatch, paths.size());
        std::vector<at::Tensor> pictures;
        for (size_t i = first; i < end; ++i) {
          const Image image = subjects.shaped(paths[i]);
          pictures.push_back(at::tensor(std::vector<float>(image.rgb.begin(), image.rgb.end()))
                                 .view({image.height, image.width, 3})
                                 .permute({2, 0, 1}) /
                             255);
        }
        const at::Tensor batch = at::stack(pictures).contiguous();
        const at::Tensor right = at::tensor(std::vector<int64_t>(labels.begin() + static_cast<int64_t>(first),
                                                                 labels.begin() + static_cast<int64_t>(end)));
        const Attacked found = which == 0 ? fgsm(logits_of, batch, right, 8.0 / 255)
                                          : pgd(logits_of, batch, right, {.until_fooled = true});
        counts[static_cast<size_t>(b)] =
            static_cast<double>(std::count(found.fooled.begin(), found.fooled.end(), true));
      });
      for (const double count : counts) fooled[which] += count;
    }));
  };
  const double one_step = attacked(0), many_steps = attacked(1);
  fmt::print("FGSM       {:7.2f} CPU ms per image, {:.0f} of {} answered wrongly\n", one_step, fooled[0], a.images);
  fmt::print("PGD-10     {:7.2f} CPU ms per image, until it is fooled, {:.0f} of {} answered wrongly\n", many_steps,
             fooled[1], a.images);
  const double seconds = 10 * (80 * (forward + corrupting - decoding) + one_step + many_steps) / threads;
  fmt::print("10,000 images x 80 and both attacks: {:.1f} min on {} threads, products alone {:.1f} min\n", seconds / 60,
             threads, 10 * 80 * 1000 * gflop / rate.cpu_gflops / threads / 60);
}

}  // namespace

}  // namespace vernier

int main(int argc, char** argv) {
  vernier::Arguments a;
  CLI::App app("What evaluating reliability costs");
  app.add_option("MODEL", a.model)->required();
  app.add_option("MANIFEST", a.manifest)->required();
  app.add_option("--images", a.images)->check(CLI::PositiveNumber);
  app.add_option("--threads", a.threads);
  app.add_flag("--bf16", a.bf16);
  CLI11_PARSE(app, argc, argv);
  try {
    vernier::run(a);
    return 0;
  } catch (const vernier::Error& e) {
    fmt::print(stderr, "reliability_bench: {}\n", e.what());
    return 1;
  }
}
