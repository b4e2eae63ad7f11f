"""Tiny random models with golden outputs from Hugging Face transformers (float32, CPU, eager attention).

    pip install torch transformers safetensors
    python tools/make_model_fixtures.py tests/fixtures/models rope_linear rope_yarn gemma2 gemma3

Each folder holds config.json, model.safetensors and golden.safetensors: input_ids [2, time], logits, loss and
grad_norm.NAME for every parameter.
"""
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import (Gemma2Config, Gemma2ForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig,
                          LlamaForCausalLM, Olmo3Config, Olmo3ForCausalLM, OlmoeConfig, OlmoeForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen2MoeConfig, Qwen2MoeForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM,
                          SmolLM3Config, SmolLM3ForCausalLM)


def llama(**changes):
    base = dict(vocab_size=320, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=512, initializer_range=0.15, bos_token_id=1,
                eos_token_id=2, pad_token_id=0)
    base.update(changes)
    return base


def linear():
    # One key/value head (MQA), biases everywhere, head_dim other than hidden / heads.
    return LlamaForCausalLM, LlamaConfig(**llama(num_key_value_heads=1, head_dim=24, attention_bias=True, mlp_bias=True,
        rope_parameters=dict(rope_type='linear', rope_theta=10000.0, factor=4.0)))


def yarn():
    return Qwen2ForCausalLM, Qwen2Config(**llama(tie_word_embeddings=True,
        rope_parameters=dict(rope_type='yarn', rope_theta=10000.0, factor=4.0, original_max_position_embeddings=32)))


def gemma2():
    # Caps that bend what they cap, a window in the first and third layer.
    return Gemma2ForCausalLM, Gemma2Config(**llama(num_hidden_layers=4, head_dim=16, query_pre_attn_scalar=16,
        sliding_window=20, attn_logit_softcapping=2.0, final_logit_softcapping=3.0))


def gemma3():
    # Seven layers, the sixth of which sees everything and rotates otherwise than those with a window.
    return Gemma3ForCausalLM, Gemma3TextConfig(**llama(intermediate_size=64, num_hidden_layers=7, head_dim=24,
        query_pre_attn_scalar=24, sliding_window=20, rope_parameters=dict(
            full_attention=dict(rope_type='linear', rope_theta=1000000.0, factor=4.0),
            sliding_attention=dict(rope_type='default', rope_theta=10000.0))))


def olmo3():
    # Five layers, the fourth of which sees everything and is bent for longer texts.
    return Olmo3ForCausalLM, Olmo3Config(**llama(num_hidden_layers=5, sliding_window=20, rope_parameters=dict(
        full_attention=dict(rope_type='yarn', rope_theta=500000.0, factor=4.0, original_max_position_embeddings=32),
        sliding_attention=dict(rope_type='default', rope_theta=500000.0))))


def olmoe():
    # Shares of experts are not divided by their sum.
    return OlmoeForCausalLM, OlmoeConfig(**llama(num_hidden_layers=2, num_key_value_heads=4, intermediate_size=64,
        num_experts=4, num_experts_per_tok=2))


def qwen2_moe():
    # A shared expert with a switch, biases of queries, keys and values.
    return Qwen2MoeForCausalLM, Qwen2MoeConfig(**llama(num_hidden_layers=2, num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=64, shared_expert_intermediate_size=96))


def qwen3_moe():
    # Norms of every head, which is wider than hidden / heads; shares of experts are divided by their sum.
    return Qwen3MoeForCausalLM, Qwen3MoeConfig(**llama(num_hidden_layers=2, head_dim=32, num_experts=4,
        num_experts_per_tok=2, moe_intermediate_size=64, norm_topk_prob=True))


def smollm3():
    # The fourth of five layers is not rotated; the output is the embedding.
    return SmolLM3ForCausalLM, SmolLM3Config(**llama(num_hidden_layers=5, rope_parameters=dict(rope_type='default',
        rope_theta=2000000.0)))


MODELS = {'rope_linear': linear, 'rope_yarn': yarn, 'gemma2': gemma2, 'gemma3': gemma3, 'olmo3': olmo3, 'olmoe': olmoe,
          'qwen2_moe': qwen2_moe, 'qwen3_moe': qwen3_moe, 'smollm3': smollm3}


def make(folder, name):
    torch.manual_seed(sum(map(ord, name)))
    cls, config = MODELS[name]()
    config._attn_implementation = 'eager'
    model = cls(config).float().eval()
    with torch.no_grad():  # norms and biases that are not trivial
        for parameter_name, parameter in model.named_parameters():
            if 'norm' in parameter_name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            elif parameter_name.endswith('bias'):
                parameter.add_(torch.randn_like(parameter) * 0.05)
    ids = torch.randint(3, 320, (2, 72))
    output = model(input_ids=ids, labels=ids, use_cache=False)
    output.loss.backward()
    tensors = {'input_ids': ids, 'logits': output.logits.detach().contiguous(),
               'loss': output.loss.detach().reshape(1)}
    for parameter_name, parameter in model.named_parameters():
        tensors['grad_norm.' + parameter_name] = parameter.grad.norm().reshape(1)
    path = os.path.join(folder, name)
    model.save_pretrained(path)
    generation = os.path.join(path, 'generation_config.json')
    if os.path.exists(generation):
        os.remove(generation)
    save_file(tensors, os.path.join(path, 'golden.safetensors'))
    print(name, float(output.loss))


if __name__ == '__main__':
    for which in sys.argv[2:] or MODELS:
        make(sys.argv[1], which)
