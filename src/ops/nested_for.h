#pragma once

// Parallel loops inside each other, for few items of unequal size: threads that an outer loop has nothing for take items of
// the inner ones. Many items side by side are parallel.h's.
//
//   nested_for(matrices, threads, [&](int64_t m) {
//     nested_for(chunks_of(m), threads, [&](int64_t chunk) { ... });  // by all threads once few matrices are left
//   });

#include <cstdint>
#include <functional>

namespace vernier {

/// What items that hold memory may hold together.
inline constexpr int64_t kNestedBytes = int64_t{2} << 30;

/// Calls fn(item) for items 0..count-1, begun in that order, on up to `threads` threads, which is the outermost loop's to
/// say. As in parallel_for everything inside runs single-threaded: one thread and many give the same bits.
/// Whoever waits for a loop to end takes items of that loop and of those inside it, so that no thread holds what two items
/// of a loop need.
/// @param bytes what an item holds. One at a time of every loop counts as held by the item that the loop is in; others
///        begin while all of them together hold no more than kNestedBytes
/// @throws what the first item to fail throws, after those that have begun; no others begin
void nested_for(int64_t count, int threads, const std::function<void(int64_t item)>& fn, int64_t bytes = 0);

}  // namespace vernier
