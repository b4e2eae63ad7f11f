#include "base/json.h"
#include "base/measured_json.h"
#include "vernier/activations.h"
#include "vernier/version.h"

namespace vernier {

namespace {

std::string kind_of(Site site) { return name_of(SiteId{site}); }

Json pairs_json(const std::vector<std::pair<int64_t, int64_t>>& pairs, const char* key) {
  Json json = Json::array();
  for (const auto& [value, count] : pairs) json.push_back({{key, value}, {"count", count}});
  return json;
}

Json massive_json(const MassiveActivations& massive) {
  Json largest = Json::array();
  for (const MassiveActivation& one : massive.largest)
    largest.push_back(
        {{"window", one.window}, {"position", one.position}, {"channel", one.channel}, {"value", one.value}});
  return {{"count", massive.count},
          {"windows", massive.windows},
          {"positions", pairs_json(massive.positions, "position")},
          {"channels", pairs_json(massive.channels, "channel")},
          {"largest", largest}};
}

Json site_json(const SiteFigures& f) {
  Json peaks = Json::array();
  for (const ChannelPeak& peak : f.peaks) peaks.push_back({{"channel", peak.channel}, {"abs_max", peak.abs_max}});
  return {{"values", f.values},
          {"channels", f.channels},
          {"mean", f.mean},
          {"mean_abs", f.mean_abs},
          {"rms", f.rms},
          {"kurtosis", finite_or_null(f.kurtosis)},
          {"median_abs", f.median_abs},
          {"p99", f.p99},
          {"p99_9", f.p99_9},
          {"p99_99", f.p99_99},
          {"abs_max", f.abs_max},
          {"abs_max_after_first", f.abs_max_after_first},
          {"channel_mean_abs", f.channel_mean_abs},
          {"channels_from_6", f.channels_from_6},
          {"channels_from_6_after_first", f.channels_from_6_after_first},
          {"peaks", peaks},
          {"massive", massive_json(f.massive)},
          {"histogram", {{"first_half_octave", f.first_half_octave}, {"counts", f.histogram}}}};
}

Json activation_facts_json(const ActivationFacts& facts) {
  Json json{{"data", {{"name", facts.data_name}, {"hash", facts.data_hash}}},
            {"windows", facts.windows},
            {"tokens", facts.tokens},
            {"sites", Json::object()},
            {"outlier_features", Json::array()},
            {"first_token_share", Json::array()}};
  for (const auto& [site, figures] : facts.sites) json["sites"][name_of(site)] = site_json(figures);
  for (const OutlierFeature& f : facts.outlier_features)
    json["outlier_features"].push_back({{"site", kind_of(f.site)},
                                        {"channel", f.channel},
                                        {"layer_share", f.layer_share},
                                        {"token_share", f.token_share},
                                        {"abs_max", f.abs_max},
                                        {"ratio_to_median", f.ratio_to_median}});
  for (const auto& [layer, sink] : facts.sinks)
    json["first_token_share"].push_back({{"layer", layer}, {"mean", sink.mean}, {"heads", sink.heads}});
  return json;
}

Json local_json(const std::map<SiteId, LocalErrors>& local) {
  Json json = Json::object();
  for (const auto& [site, e] : local)
    json[name_of(site)] = {{"mse", e.mse},
                           {"sqnr_db", finite_or_null(e.sqnr_db)},
                           {"cosine", finite_or_null(e.cosine)},
                           {"bias", finite_or_null(e.bias)},
                           {"histogram_kl", e.histogram_kl},
                           {"clipped_share", e.clipped_share},
                           {"dead_share", e.dead_share},
                           {"clip_error_share", e.clip_error_share},
                           {"dead_error_share", e.dead_error_share}};
  return json;
}

Json grid_json(const GridFigures& figures) {
  Json json{{"grid", figures.grid.name()}};
  put_measured(json, "kl_nats", figures.together);
  json["alone"] = Json::object();
  for (const auto& [site, kl] : figures.alone) {
    Json own;
    put_measured(own, "kl_nats", kl);
    json["alone"][kind_of(site)] = own;
  }
  json["growth"] = figures.growth;
  json["ranges"] = Json::object();
  for (const auto& [site, range] : figures.ranges) json["ranges"][name_of(site)] = range;
  json["local"] = local_json(figures.local);
  return json;
}

Json cache_json(const CacheFigures& figures) {
  Json json{{"format", figures.format.name()}};
  put_measured(json, "keys_kl_nats", figures.keys);
  put_measured(json, "values_kl_nats", figures.values);
  put_measured(json, "both_kl_nats", figures.both);
  json["local"] = local_json(figures.local);
  return json;
}

}  // namespace

nlohmann::ordered_json activation_study_to_json(const ActivationStudy& study) {
  Json json{{"kind", "activation_study"},
            {"schema_version", study.schema_version},
            {"tool_version", VERNIER_VERSION},
            {"model", {{"name", study.model_name}, {"hash", study.model_hash}}},
            {"data", {{"name", study.data_name}, {"hash", study.data_hash}}},
            {"inputs", study.inputs},
            {"windows", study.windows},
            {"images", study.images},
            {"facts", activation_facts_json(study.facts)},
            {"grids", Json::array()},
            {"caches", Json::array()}};
  for (const GridFigures& grid : study.grids) json["grids"].push_back(grid_json(grid));
  for (const CacheFigures& cache : study.caches) json["caches"].push_back(cache_json(cache));
  return json;
}

}  // namespace vernier
