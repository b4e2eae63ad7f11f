#include "run/run_clock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace vernier {
namespace {

using ::testing::ElementsAre;

struct Expected : ProgressSink {
  std::vector<double> after;
  void expect_after(double seconds) override { after.push_back(seconds); }
};

void nothing() {}

TEST(RunClock, ForetellsWhatComesAfterEachStage) {
  RunClock clock(0, {{"calibrate", 1}, {"screen", 2}, {"evaluate", 4}});
  Expected expected;
  clock.run("calibrate", expected, nothing);
  clock.run("screen", expected, nothing);
  clock.run("screen", expected, nothing);
  clock.run("plan", expected, nothing);  // nobody foretold it, and it is short
  clock.run("evaluate", expected, nothing);
  EXPECT_THAT(expected.after, ElementsAre(6, 4, 4, 0, 0));
  std::vector<std::string> stages;
  for (const StageTime& time : clock.times()) {
    stages.push_back(time.stage);
    EXPECT_GT(time.peak_bytes, uint64_t{1} << 20);
  }
  EXPECT_THAT(stages, ElementsAre("calibrate", "screen", "plan", "evaluate")) << "parts of a stage are one";
}

TEST(RunClock, AQuickMachineShortensWhatIsForetold) {
  RunClock clock(0, {{"calibrate", 10}, {"evaluate", 40}});
  Expected expected;
  clock.run("calibrate", expected, nothing);  // in no time: a quarter is the least that is believed
  clock.run("calibrate", expected, nothing);
  EXPECT_THAT(expected.after, ElementsAre(40, 10));
}

TEST(RunClock, TimesWhatRuns) {
  RunClock clock(0, {});
  Expected expected;
  clock.run("screen", expected, [] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); });
  EXPECT_GE(clock.times().front().seconds, 0.02);
  EXPECT_TRUE(expected.after.empty()) << "nothing is foretold";
}

TEST(RunClock, LeavesTimeForWhatFollows) {
  const RunClock clock(10, {{"confirm", 300}, {"export", 60}, {"evaluate", 240}});
  EXPECT_TRUE(clock.has_time_for("confirm", 200));
  EXPECT_FALSE(clock.has_time_for("confirm", 400)) << "300 seconds are for what follows";
  EXPECT_TRUE(clock.has_time_for("evaluate", 400));
  EXPECT_TRUE(RunClock(0, {}).has_time_for("confirm", 1e9)) << "no limit";
}

TEST(RunClock, TellsWhatAStageToComeWillTake) {
  const RunClock clock(0, {{"export", 60}, {"evaluate", 240}});
  EXPECT_EQ(clock.seconds_of("evaluate"), 240);
  EXPECT_EQ(clock.seconds_of("refine"), 0) << "not foretold";
}

}  // namespace
}  // namespace vernier
