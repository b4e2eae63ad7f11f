#include "base/hash.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <atomic>

#include "base/mapped_file.h"

namespace vernier {

struct Hasher::State {
  XXH3_state_t xxh;
};

namespace {
std::atomic<uint64_t> hashed{0};
}  // namespace

uint64_t hashed_bytes() { return hashed.load(std::memory_order_relaxed); }

Hasher::Hasher() : state_(new State) { XXH3_128bits_reset(&state_->xxh); }
Hasher::~Hasher() = default;

void Hasher::add(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
  hashed.fetch_add(bytes.size(), std::memory_order_relaxed);
}

void Hasher::add(std::string_view text) {
  const uint64_t length = text.size();
  XXH3_128bits_update(&state_->xxh, &length, sizeof length);
  XXH3_128bits_update(&state_->xxh, text.data(), text.size());
}

std::string Hasher::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&state_->xxh);
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string hash_text(std::string_view text) {
  Hasher hasher;
  hasher.add(std::as_bytes(std::span(text)));
  return hasher.hex();
}

std::string hash_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  Hasher hasher;
  hasher.add(file.bytes());
  return hasher.hex();
}

}  // namespace vernier
