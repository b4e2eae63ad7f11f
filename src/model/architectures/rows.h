#pragma once

// The rows of the table, one file each.

#include "model/architecture.h"

namespace vernier {

const Architecture& llama_architecture();
const Architecture& mistral_architecture();
const Architecture& qwen2_architecture();
const Architecture& qwen3_architecture();
const Architecture& qwen2_moe_architecture();
const Architecture& qwen3_moe_architecture();
const Architecture& smollm3_architecture();
const Architecture& gpt2_architecture();
const Architecture& phi3_architecture();
const Architecture& mixtral_architecture();
const Architecture& olmo2_architecture();
const Architecture& olmo3_architecture();
const Architecture& olmoe_architecture();
const Architecture& gemma2_architecture();
const Architecture& gemma3_architecture();
const Architecture& vit_architecture();
const Architecture& deit_architecture();
const Architecture& deit_distilled_architecture();
const Architecture& clip_architecture();
const Architecture& clip_image_architecture();
const Architecture& clip_text_architecture();

}  // namespace vernier
