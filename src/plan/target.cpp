#include "plan/target.h"

#include <map>
#include <utility>

#include "base/fail.h"

namespace vernier {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }
bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

std::string TargetRules::why_fixed(const TensorFacts& facts) const {
  // llama.cpp's own quantizer leaves the same tensors alone; its kernels expect norms, biases and routers in f32.
  if (contains(facts.role, "norm") || contains(facts.tensor, "_norm.")) return "norms stay in " + fixed_scheme;
  if (facts.role == "bias" || ends_with(facts.tensor, ".bias")) return "biases stay in " + fixed_scheme;
  if (facts.shape.size() < 2) return "vectors stay in " + fixed_scheme;
  if (facts.role == "router" || contains(facts.tensor, "ffn_gate_inp")) return "routers stay in " + fixed_scheme;
  if (contains(facts.tensor, "position_embd") || contains(facts.tensor, "token_types"))
    return "position and type embeddings stay in " + fixed_scheme;
  return "";
}

std::vector<std::string> TargetRules::schemes_for(const TensorFacts& facts) const {
  return why_fixed(facts).empty() ? schemes : std::vector<std::string>{fixed_scheme};
}

std::vector<std::vector<size_t>> TargetRules::tied(std::span<const TensorFacts> tensors) const {
  std::map<std::pair<int64_t, std::string>, std::vector<size_t>> stacks;
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].expert >= 0 && why_fixed(tensors[i]).empty())
      stacks[{tensors[i].layer, tensors[i].role}].push_back(i);
  std::vector<std::vector<size_t>> groups;
  for (auto& [key, group] : stacks)
    if (group.size() > 1) groups.push_back(std::move(group));
  return groups;
}

TargetRules target_rules(std::string_view name) {
  if (name == "llama.cpp")
    return {.name = "llama.cpp",
            .schemes = {"gguf:q2_k", "gguf:q3_k", "gguf:q4_0", "gguf:iq4_nl", "gguf:q4_k", "gguf:q4_1", "gguf:q5_0",
                        "gguf:q5_k", "gguf:q5_1", "gguf:q6_k", "gguf:q8_0", "f16"},
            .fixed_scheme = "f32"};
  if (name == "vllm") fail(ErrorKind::kUnsupported, "plan: target vllm is not supported yet; use llama.cpp");
  fail(ErrorKind::kInvalidArgument, "plan: unknown target \"{}\"; expected llama.cpp", name.substr(0, 40));
}

}  // namespace vernier
