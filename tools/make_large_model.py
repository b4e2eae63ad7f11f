"""A Llama of random weights with about a billion parameters, written tensor by tensor, to measure time and memory with.

    pip install numpy
    python tools/make_large_model.py models/demo-5m OUT [--layers 16] [--hidden 2048] [--intermediate 8192] [--dtype float16]

The first folder gives the tokenizer, and with it the vocabulary. Weights are normal with a few larger channels, bfloat16 or float16.
"""
import argparse
import json
import os
import shutil
import struct

import numpy

arguments = argparse.ArgumentParser()
arguments.add_argument('tokenizer_of')
arguments.add_argument('out')
arguments.add_argument('--layers', type=int, default=16)
arguments.add_argument('--hidden', type=int, default=2048)
arguments.add_argument('--intermediate', type=int, default=8192)
arguments.add_argument('--dtype', choices=('bfloat16', 'float16'), default='bfloat16')
given = arguments.parse_args()

HEAD = 64
heads = given.hidden // HEAD
kv_heads = max(heads // 4, 1)
with open(os.path.join(given.tokenizer_of, 'config.json')) as file:
    base = json.load(file)
config = {key: base[key] for key in ('vocab_size', 'bos_token_id', 'eos_token_id')}
config |= dict(architectures=['LlamaForCausalLM'], model_type='llama', hidden_size=given.hidden, head_dim=HEAD,
               intermediate_size=given.intermediate, num_hidden_layers=given.layers, num_attention_heads=heads,
               num_key_value_heads=kv_heads, max_position_embeddings=2048, rms_norm_eps=1e-6, hidden_act='silu',
               tie_word_embeddings=True, dtype=given.dtype, rope_theta=10000.0)

shapes = {'model.embed_tokens.weight': (config['vocab_size'], given.hidden), 'model.norm.weight': (given.hidden,)}
for layer in range(given.layers):
    own = f'model.layers.{layer}.'
    for name in ('input_layernorm', 'post_attention_layernorm'):
        shapes[own + name + '.weight'] = (given.hidden,)
    for name, rows, columns in (('self_attn.q_proj', heads * HEAD, given.hidden),
                                ('self_attn.k_proj', kv_heads * HEAD, given.hidden),
                                ('self_attn.v_proj', kv_heads * HEAD, given.hidden),
                                ('self_attn.o_proj', given.hidden, heads * HEAD),
                                ('mlp.gate_proj', given.intermediate, given.hidden),
                                ('mlp.up_proj', given.intermediate, given.hidden),
                                ('mlp.down_proj', given.hidden, given.intermediate)):
        shapes[own + name + '.weight'] = (rows, columns)


def values(name, shape):
    random = numpy.random.default_rng(hash_of(name))
    if len(shape) == 1:
        return numpy.ones(shape, numpy.float32)
    x = random.standard_normal(shape, numpy.float32) * numpy.float32(0.5 / shape[1] ** 0.5)
    x[:, random.integers(shape[1], size=max(shape[1] // 256, 1))] *= 4
    return x


def hash_of(name):  # Python's own differs from run to run
    value = 0
    for byte in name.encode():
        value = (value * 31 + byte) % (1 << 31)
    return value


def bfloat16(x):
    bits = x.view(numpy.uint32)
    return ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


header, offset = {}, 0
for name, shape in shapes.items():
    size = 2 * int(numpy.prod(shape))
    header[name] = dict(dtype='BF16' if given.dtype == 'bfloat16' else 'F16', shape=shape, data_offsets=[offset, offset + size])
    offset += size
os.makedirs(given.out, exist_ok=True)
with open(os.path.join(given.out, 'config.json'), 'w') as file:
    json.dump(config, file, indent=2)
for name in os.listdir(given.tokenizer_of):
    if 'token' in name:
        shutil.copy(os.path.join(given.tokenizer_of, name), given.out)
text = json.dumps(header).encode()
text += b' ' * (-len(text) % 8)
with open(os.path.join(given.out, 'model.safetensors'), 'wb') as file:
    file.write(struct.pack('<Q', len(text)) + text)
    for name, shape in shapes.items():
        x = values(name, shape)
        file.write((bfloat16(x) if given.dtype == 'bfloat16' else x.astype(numpy.float16)).tobytes())
print(f'{given.out}: {offset // 2:,} parameters')
