#include "vernier/scheme.h"

#include "base/fail.h"
#include "scheme/number_format.h"

namespace vernier {

namespace {

constexpr int64_t kMostColumns = int64_t{1} << 40, kMostWeights = int64_t{1} << 55;

std::string what_exists() {
  std::string names;
  for (const NumberFormat* format : number_formats()) names += (names.empty() ? "" : ", ") + format->spelling();
  return names;
}

/// Whose grammar the text is in; `why` is set if it is only nearly in one.
std::optional<Scheme> find(const std::string& text, std::string* why) {
  for (const NumberFormat* format : number_formats())
    if (const auto parameters = format->parse(text, why)) return Scheme(*format, *parameters);
  return std::nullopt;
}

}  // namespace

Scheme::Scheme() : Scheme(*number_formats().front(), {}) {}

Scheme Scheme::parse(std::string_view text) {
  std::string lower(text), why;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  if (const auto scheme = find(lower, &why)) return *scheme;
  if (why.empty()) {
    why = "no such number format";
    std::string ignored;  // llama.cpp's own spelling of its types lacks the prefix
    if (const auto meant = find("gguf:" + lower, &ignored)) why += fmt::format("; did you mean {}?", meant->name());
  }
  fail(ErrorKind::kInvalidArgument, "scheme: \"{}\": {}; schemes are {}", text.substr(0, 80), why, what_exists());
}

std::string Scheme::name() const { return format_->name(parameters_); }

std::optional<std::string> Scheme::why_not(int64_t rows, int64_t cols) const {
  if (rows < 1 || cols < 1) return fmt::format("[{}, {}] holds no weights", rows, cols);
  if (cols > kMostColumns || rows > kMostWeights / cols) return fmt::format("[{}, {}] is too large", rows, cols);
  return format_->why_not(parameters_, rows, cols);
}

std::vector<StoredPart> Scheme::parts(int64_t rows, int64_t cols) const {
  if (const auto reason = why_not(rows, cols)) fail(ErrorKind::kInvalidArgument, "scheme: {}", *reason);
  return format_->parts(parameters_, rows, cols);
}

uint64_t Scheme::bytes(int64_t rows, int64_t cols) const {
  uint64_t sum = 0;
  for (const StoredPart& part : parts(rows, cols)) sum += part.bytes;
  return sum;
}

double Scheme::bits_per_weight(int64_t rows, int64_t cols) const {
  return 8.0 * static_cast<double>(bytes(rows, cols)) / (static_cast<double>(rows) * static_cast<double>(cols));
}

bool Scheme::held_by(Container container) const {
  const FormatFacts facts = format_->facts(parameters_);
  switch (container) {
    case Container::kGguf: return facts.gguf.has_value();
    case Container::kCompressedTensors: return facts.compressed_tensors;
    case Container::kPlainTensors: return facts.plain_tensors;
  }
  return false;
}

std::optional<GgufNumbers> Scheme::gguf() const { return format_->facts(parameters_).gguf; }

ActivationRounding Scheme::llama_cpp_rounding() const { return format_->facts(parameters_).llama_cpp_rounding; }

bool Scheme::writable() const { return format_->facts(parameters_).writable; }

bool Scheme::rows_independent() const { return format_->facts(parameters_).rows_independent; }

bool Scheme::rows_in_sequence() const { return format_->facts(parameters_).rows_in_sequence; }

std::vector<std::string> readable_gguf_scheme_names() {
  std::vector<std::string> names;
  for (const NumberFormat* format : number_formats())
    if (format->facts({}).gguf) names.push_back(format->name({}));
  return names;
}

std::vector<std::string> gguf_scheme_names() {
  std::vector<std::string> names = readable_gguf_scheme_names();
  std::erase_if(names, [](const std::string& name) { return !Scheme::parse(name).writable(); });
  return names;
}

}  // namespace vernier
