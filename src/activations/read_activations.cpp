#include "base/measured_json.h"
#include "groups/json_reader.h"
#include "vernier/activations.h"

namespace vernier {

namespace {

float single(const JsonReader& json, const char* key) { return static_cast<float>(json.number(key)); }

Measured measured_in(const JsonReader& json, const std::string& key) {
  return measured_at(json.json(), key, json.origin());
}

std::vector<std::pair<int64_t, int64_t>> read_pairs(const JsonReader& json, const char* key) {
  std::vector<std::pair<int64_t, int64_t>> pairs;
  json.each([&](const JsonReader& pair) { pairs.emplace_back(pair.count(key), pair.count("count")); });
  return pairs;
}

MassiveActivations read_massive(const JsonReader& json) {
  MassiveActivations massive{json.count("count"),
                             json.count("windows"),
                             read_pairs(json.at("positions"), "position"),
                             read_pairs(json.at("channels"), "channel"),
                             {}};
  json.at("largest").each([&](const JsonReader& one) {
    const int64_t position = json_int(one.json(), "position", one.origin(), -1, kMaxCount);
    massive.largest.push_back({one.count("window"), position, one.count("channel"), single(one, "value")});
  });
  return massive;
}

SiteFigures read_figures(const JsonReader& json) {
  SiteFigures f;
  f.values = json.count("values");
  f.channels = json.count("channels");
  f.mean = json.number("mean");
  f.mean_abs = json.number("mean_abs");
  f.rms = json.number("rms");
  f.kurtosis = json.number("kurtosis");
  f.median_abs = json.number("median_abs");
  f.p99 = json.number("p99");
  f.p99_9 = json.number("p99_9");
  f.p99_99 = json.number("p99_99");
  f.abs_max = single(json, "abs_max");
  f.abs_max_after_first = single(json, "abs_max_after_first");
  f.channel_mean_abs = json.number("channel_mean_abs");
  f.channels_from_6 = json.count("channels_from_6");
  f.channels_from_6_after_first = json.count("channels_from_6_after_first");
  json.at("peaks").each([&](const JsonReader& peak) {
    f.peaks.push_back({peak.count("channel"), single(peak, "abs_max")});
  });
  f.massive = read_massive(json.at("massive"));
  const JsonReader histogram = json.at("histogram");
  f.first_half_octave =
      static_cast<int>(json_int(histogram.json(), "first_half_octave", histogram.origin(), -1000, 1000));
  histogram.at("counts").each(
      [&](const JsonReader& count) { f.histogram.push_back(static_cast<int64_t>(count.value())); });
  return f;
}

ActivationFacts read_facts(const JsonReader& json) {
  ActivationFacts facts;
  facts.data_name = json.at("data").text("name");
  facts.data_hash = json.at("data").text("hash");
  facts.windows = json.count("windows");
  facts.tokens = json.count("tokens");
  json.at("sites").each_key(
      [&](const std::string& name, const JsonReader& site) { facts.sites[parse_site(name)] = read_figures(site); });
  json.at("outlier_features").each([&](const JsonReader& f) {
    facts.outlier_features.push_back({parse_site(f.text("site")).site, f.count("channel"), f.number("layer_share"),
                                      f.number("token_share"), single(f, "abs_max"), f.number("ratio_to_median")});
  });
  json.at("first_token_share").each([&](const JsonReader& layer) {
    AttentionSink& sink = facts.sinks[static_cast<int>(layer.count("layer"))];
    sink.mean = layer.number("mean");
    layer.at("heads").each([&](const JsonReader& head) { sink.heads.push_back(head.value()); });
  });
  return facts;
}

std::map<SiteId, LocalErrors> read_local(const JsonReader& json) {
  std::map<SiteId, LocalErrors> local;
  json.each_key([&](const std::string& name, const JsonReader& e) {
    local[parse_site(name)] = {e.number("mse"),        e.number("sqnr_db"),          e.number("cosine"),
                               e.number("bias"),       e.number("histogram_kl"),     e.number("clipped_share"),
                               e.number("dead_share"), e.number("clip_error_share"), e.number("dead_error_share")};
  });
  return local;
}

GridFigures read_grid(const JsonReader& json) {
  GridFigures figures;
  figures.grid = ActivationGrid::parse(json.text("grid"));
  figures.together = measured_in(json, "kl_nats");
  json.at("alone").each_key([&](const std::string& name, const JsonReader& own) {
    figures.alone[parse_site(name).site] = measured_in(own, "kl_nats");
  });
  json.at("growth").each([&](const JsonReader& value) { figures.growth.push_back(value.value()); });
  json.at("ranges").each_key([&](const std::string& name, const JsonReader& range) {
    figures.ranges[parse_site(name)] = static_cast<float>(range.value());
  });
  figures.local = read_local(json.at("local"));
  return figures;
}

}  // namespace

ActivationStudy activation_study_from_json(const nlohmann::ordered_json& json, const std::string& origin) {
  const JsonReader root(json, origin);
  if (root.text("kind") != "activation_study")
    fail(ErrorKind::kBadFile, "{}: expected what `vernier activations` writes", origin);
  ActivationStudy study;
  if (const int64_t schema = root.count("schema_version"); schema != study.schema_version)
    fail(ErrorKind::kBadFile, "{}: schema_version {}, expected {}; make it again", origin, schema,
         study.schema_version);
  study.model_name = root.at("model").text("name");
  study.model_hash = root.at("model").text("hash");
  study.data_name = root.at("data").text("name");
  study.data_hash = root.at("data").text("hash");
  if (json_find(json, "inputs") != nullptr) {  // before models that see: windows
    study.inputs = root.text("inputs");
    study.images = root.count("images");
  }
  study.windows = root.count("windows");
  try {
    study.facts = read_facts(root.at("facts"));
    root.at("grids").each([&](const JsonReader& grid) { study.grids.push_back(read_grid(grid)); });
    root.at("caches").each([&](const JsonReader& cache) {
      study.caches.push_back({CacheFormat::parse(cache.text("format")), read_local(cache.at("local")),
                              measured_in(cache, "keys_kl_nats"), measured_in(cache, "values_kl_nats"),
                              measured_in(cache, "both_kl_nats")});
    });
  } catch (const Error& error) {  // a site or a grid that does not exist
    if (error.kind() != ErrorKind::kInvalidArgument) throw;
    fail(ErrorKind::kBadFile, "{}: {}", origin, error.what());
  }
  return study;
}

}  // namespace vernier
