#include <gmock/gmock.h>

#include "base/output_file.h"
#include "support/expect_error.h"
#include "support/scratch.h"
#include "vernier/labelled_images.h"

namespace vernier {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Their names stand for images: they are not decoded here.
class Manifest : public ::testing::Test {
 protected:
  const fs::path folder_ = scratch_path("vernier_manifest");
  void SetUp() override {
    for (const char* name : {"cat/1.jpg", "cat/2.JPG", "dog/1.png", "dog/deep/2.png", "dog/notes.txt", "a,b.png"})
      write_file(folder_ / name, name);
  }
  void TearDown() override { fs::remove_all(folder_); }
  LabelledImages parse(const std::string& text, const std::vector<std::string>& classes = {}) const {
    return parse_manifest(text, "m.csv", folder_, classes);
  }
};

TEST_F(Manifest, NamesLabelsAndSeveralAttributes) {
  write_file(folder_ / "m.csv",
             "age,path,label,sex,\nold,cat/1.jpg,cat,f,0\nyoung,\"a,b.png\",dog,,1\nold,dog/1.png,dog,f,2\n"
             "young,cat/2.JPG,cat,f,3\n");
  const LabelledImages set = read_manifest(folder_ / "m.csv");
  EXPECT_THAT(set.classes, ElementsAre("cat", "dog"));
  EXPECT_THAT(set.attributes, ElementsAre("age", "sex")) << "a column without a name is an index";
  ASSERT_EQ(set.images.size(), 4u);
  EXPECT_EQ(set.images[1].path, folder_ / "a,b.png");
  EXPECT_EQ(set.images[1].label, 1);
  EXPECT_THAT(set.images[1].groups, ElementsAre("young", ""));
  EXPECT_EQ(set.images[1].line, 3);
  EXPECT_EQ(set.name, "m.csv");
  EXPECT_THAT(set.warnings, IsEmpty());
}

TEST_F(Manifest, LabelsAreNamesOrIndices) {
  const std::vector<std::string> classes{"dog", "cat", "0"};
  const LabelledImages set = parse("path,label\ncat/1.jpg,cat\ndog/1.png,0\ncat/2.JPG,1\n", classes);
  EXPECT_EQ(set.images[0].label, 1);
  EXPECT_EQ(set.images[1].label, 2) << "the name of a class goes before its index";
  EXPECT_EQ(set.images[2].label, 1);
  EXPECT_THAT(parse("path,label\ncat/1.jpg,2\ndog/1.png,0\n").classes, ElementsAre("0", "1", "2"));
  expect_error(ErrorKind::kBadFile, {"m.csv:3", "label 3", "0 to 2", "dog, cat, 0"},
               [&] { parse("path,label\ncat/1.jpg,cat\ndog/1.png,3\n", classes); });
  expect_error(ErrorKind::kBadFile, {"m.csv:2", "\"horse\"", "dog, cat, 0"},
               [&] { parse("path,label\ncat/1.jpg,horse\n", classes); });
  expect_error(ErrorKind::kBadFile, {"m.csv:2", "-1"}, [&] { parse("path,label\ncat/1.jpg,-1\n", classes); });
  expect_error(ErrorKind::kBadFile, {"m.csv", "99999999"}, [&] { parse("path,label\ncat/1.jpg,99999999\n"); });
}

TEST_F(Manifest, WhatIsMissingIsNamedByLine) {
  expect_error(ErrorKind::kBadFile, {"m.csv:3", "cat/9.jpg", "does not exist"},
               [&] { parse("path,label\ncat/1.jpg,cat\ncat/9.jpg,cat\n"); });
  expect_error(ErrorKind::kBadFile, {"m.csv:2", "no file"}, [&] { parse("path,label\ncat,cat\n"); });
  expect_error(ErrorKind::kBadFile, {"m.csv", "\"label\""}, [&] { parse("path,class\ncat/1.jpg,cat\n"); });
  expect_error(ErrorKind::kBadFile, {"m.csv:2", "label is empty"}, [&] { parse("path,label\ncat/1.jpg,\n"); });
  expect_error(ErrorKind::kBadFile, {"no line"}, [&] { parse("path,label\n"); });
  expect_error(ErrorKind::kIo, {"absent.csv"}, [&] { read_manifest(folder_ / "absent.csv"); });
}

TEST_F(Manifest, SingleExamplesAndCopiesAreTold) {
  const LabelledImages set =
      parse("path,label,sex\ncat/1.jpg,cat,f\ncat/1.jpg,cat,f\ndog/1.png,dog,x\ncat/2.JPG,cat,\n");
  ASSERT_EQ(set.warnings.size(), 2u);
  EXPECT_THAT(set.warnings[0], HasSubstr("m.csv:3"));
  EXPECT_THAT(set.warnings[0], HasSubstr("line 2"));
  write_file(folder_ / "cat/2.JPG", "cat/1.jpg");
  const LabelledImages renamed = parse("path,label\ncat/1.jpg,cat\ncat/2.JPG,cat\n");
  ASSERT_EQ(renamed.warnings.size(), 1u) << "by what is in them";
  EXPECT_THAT(renamed.warnings[0], HasSubstr("cat/2.JPG is the same image as that of line 2"));
  for (const char* part : {"m.csv:4", "sex = \"x\"", "one example", "dog/1.png"})
    EXPECT_THAT(set.warnings[1], HasSubstr(part));
}

TEST_F(Manifest, HashIsOfWhatIsScored) {
  const std::string text = "path,label,sex\ncat/1.jpg,cat,f\ndog/1.png,dog,f\n";
  EXPECT_EQ(parse(text).hash, parse(text).hash);
  const std::string before = parse(text).hash;
  write_file(folder_ / "dog/1.png", "another dog");
  EXPECT_NE(parse(text).hash, before) << "of the images themselves";
  EXPECT_NE(parse(text).hash, parse("path,label,sex\ncat/1.jpg,cat,f\ndog/1.png,dog,m\n").hash);
  EXPECT_NE(parse(text).hash, parse("path,label,sex\ncat/1.jpg,dog,f\ndog/1.png,dog,f\n").hash);
}

TEST_F(Manifest, FolderOfClasses) {
  fs::remove(folder_ / "a,b.png");
  const LabelledImages set = read_image_folder(folder_);
  EXPECT_THAT(set.classes, ElementsAre("cat", "dog"));
  EXPECT_THAT(set.attributes, ElementsAre("class"));
  std::vector<std::string> found;
  for (const LabelledImage& image : set.images) found.push_back(fs::relative(image.path, folder_).string());
  EXPECT_THAT(found, ElementsAre("cat/1.jpg", "cat/2.JPG", "dog/1.png", "dog/deep/2.png"));
  EXPECT_THAT(set.images[3].groups, ElementsAre("dog"));
  EXPECT_EQ(read_image_folder(folder_, {"cow", "dog", "cat"}).images[3].label, 1);
  expect_error(ErrorKind::kBadFile, {"cat", "none of the 2 classes"}, [&] {
    read_image_folder(folder_, {"cow", "dog"});
  });
  expect_error(ErrorKind::kBadFile, {"no subfolders"}, [&] { read_image_folder(folder_ / "cat"); });
  expect_error(ErrorKind::kIo, {"absent"}, [&] { read_image_folder(folder_ / "absent"); });
  fs::create_directory(folder_ / "empty");
  expect_error(ErrorKind::kBadFile, {"empty", "no images"}, [&] { read_image_folder(folder_); });
}

}  // namespace
}  // namespace vernier
