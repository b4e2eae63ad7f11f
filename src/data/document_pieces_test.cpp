#include "data/document_pieces.h"

#include <gtest/gtest.h>

namespace vernier {
namespace {

using Pieces = std::vector<std::vector<int32_t>>;

TEST(DocumentPieces, OverlapByTheTokenThatNothingInTheNextOnePredicts) {
  EXPECT_EQ(document_pieces({1, 2, 3, 4, 5, 6, 7}, std::nullopt, 4), (Pieces{{1, 2, 3, 4}, {4, 5, 6, 7}}));
  EXPECT_EQ(document_pieces({1, 2, 3, 4, 5}, std::nullopt, 4), (Pieces{{1, 2, 3, 4}, {4, 5}}));
}

TEST(DocumentPieces, BeginWithBosWhereThereIsOne) {
  EXPECT_EQ(document_pieces({1, 2, 3, 4, 5}, 9, 4), (Pieces{{9, 1, 2, 3}, {9, 4, 5}}));
  EXPECT_EQ(document_pieces({1}, 9, 4), (Pieces{{9, 1}}));
}

TEST(DocumentPieces, AreNoneWhereNothingIsPredicted) {
  EXPECT_TRUE(document_pieces({}, 9, 4).empty());
  EXPECT_TRUE(document_pieces({}, std::nullopt, 4).empty());
  EXPECT_TRUE(document_pieces({1}, std::nullopt, 4).empty());
}

}  // namespace
}  // namespace vernier
