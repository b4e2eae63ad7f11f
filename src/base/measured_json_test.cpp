#include "base/measured_json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "vernier/error.h"

namespace vernier {
namespace {

TEST(MeasuredJson, RoundTripsAndASingleWindowIsNull) {
  Json json;
  put_measured(json, "kl_nats", {0.25, 0.5});
  put_measured(json, "nll_nats", {2, NAN});
  EXPECT_EQ(json.dump(), R"({"kl_nats":0.25,"kl_nats_stderr":0.5,"nll_nats":2.0,"nll_nats_stderr":null})");
  const Measured kl = measured_at(json, "kl_nats", "x"), nll = measured_at(json, "nll_nats", "x");
  EXPECT_EQ(kl.mean, 0.25);
  EXPECT_EQ(kl.standard_error, 0.5);
  EXPECT_EQ(nll.mean, 2);
  EXPECT_TRUE(std::isnan(nll.standard_error));
  EXPECT_FALSE(optional_measured_at(json, "delta_nll_nats", "x"));
}

TEST(MeasuredJson, WhatIsMissingOrNoNumberIsNamed) {
  const Json json = {{"kl_nats", "much"}, {"nll_nats", 1}, {"nll_nats_stderr", "little"}};
  for (const char* key : {"kl_nats", "nll_nats", "delta_nll_nats"}) {
    try {
      measured_at(json, key, "e.json");
      ADD_FAILURE() << "read " << key;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kBadFile);
      EXPECT_NE(std::string(e.what()).find(key), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace vernier
