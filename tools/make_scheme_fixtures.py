"""Writes tests/fixtures/scheme: what ggml decodes from given blocks, and the errors its encoders make on real rows.

  python3 tools/make_scheme_fixtures.py --ggml .../libggml-base.so --model .../dense-26m --text .../calib.txt
  python3 tools/make_scheme_fixtures.py --ggml .../libggml-base.so --add gguf:iq4_nl   # to the files as they are
  python3 tools/make_scheme_fixtures.py --ggml .../libggml-base.so --add-sparse        # so

libggml-base.so comes with the npm package @node-llama-cpp/linux-x64. Needs numpy, and without --add torch and transformers.
"""
import argparse
import ctypes
import json
import pathlib

import numpy as np

# scheme: (ggml's function suffix, weights and bytes of a block, offsets of its fp16 numbers)
BLOCKS = {
    "gguf:q8_0": ("q8_0", 32, 34, [0]),
    "gguf:q6_k": ("q6_K", 256, 210, [208]),
    "gguf:q5_1": ("q5_1", 32, 24, [0, 2]),
    "gguf:q5_k": ("q5_K", 256, 176, [0, 2]),
    "gguf:q5_0": ("q5_0", 32, 22, [0]),
    "gguf:q4_1": ("q4_1", 32, 20, [0, 2]),
    "gguf:q4_k": ("q4_K", 256, 144, [0, 2]),
    "gguf:q4_0": ("q4_0", 32, 18, [0]),
    "gguf:q3_k": ("q3_K", 256, 110, [108]),
    "gguf:q2_k": ("q2_K", 256, 84, [80, 82]),
    "gguf:iq4_nl": ("iq4_nl", 32, 18, [0]),
    "gguf:iq4_xs": ("iq4_xs", 256, 136, [0]),
    "gguf:mxfp4": ("mxfp4", 32, 17, []),
    "gguf:iq3_s": ("iq3_s", 256, 110, [0]),
    "gguf:iq3_xxs": ("iq3_xxs", 256, 98, [0]),
    "gguf:iq2_s": ("iq2_s", 256, 82, [0]),
    "gguf:iq2_xs": ("iq2_xs", 256, 74, [0]),
    "gguf:iq2_xxs": ("iq2_xxs", 256, 66, [0]),
    "gguf:tq2_0": ("tq2_0", 256, 66, [64]),
    "gguf:iq1_m": ("iq1_m", 256, 56, []),
    "gguf:tq1_0": ("tq1_0", 256, 54, [52]),
    "gguf:iq1_s": ("iq1_s", 256, 50, [0]),
}
READ_ONLY = {"gguf:tq2_0", "gguf:iq1_m", "gguf:tq1_0", "gguf:iq1_s"}
# ggml's encoders of these want importances, and equal ones are not the same to them as none.
NEEDS_IMPORTANCE = {"gguf:iq2_xxs", "gguf:iq2_xs", "gguf:iq1_s", "gguf:iq1_m"}
# ggml_type of those whose encoders look neighbours up in tables that must be made first.
WITH_TABLES = {"gguf:iq2_xxs": 16, "gguf:iq2_xs": 17, "gguf:iq3_xxs": 18, "gguf:iq1_s": 19, "gguf:iq3_s": 21,
               "gguf:iq2_s": 22, "gguf:iq1_m": 29}
SOURCES = [("model.layers.0.self_attn.q_proj", 100, 6), ("model.layers.3.self_attn.v_proj", 30, 6),
           ("model.layers.5.mlp.down_proj", 200, 3), ("model.layers.2.mlp.up_proj", 700, 4)]


class Bin:
    """One binary file of little-endian arrays; put() returns where an array begins."""

    def __init__(self, data=b""):
        self.data = bytearray(data)

    def put(self, array):
        at = len(self.data)
        self.data += np.ascontiguousarray(array).tobytes()
        self.data += bytes(-len(self.data) % 4)
        return at


def bf16_bits(x):
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def bf16_values(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def pointer(array):
    return None if array is None else array.ctypes.data_as(ctypes.c_void_p)


class Ggml:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        for type_id in WITH_TABLES.values():
            self.lib.ggml_quantize_init(type_id)

    def quantize(self, scheme, weight, importance):
        name, elements, size, _ = BLOCKS[scheme]
        if importance is None and scheme in NEEDS_IMPORTANCE:
            importance = np.ones(weight.shape[1], np.float32)
        call = getattr(self.lib, f"quantize_{name}")
        call.restype = ctypes.c_size_t
        call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
        out = np.zeros(weight.size // elements * size, np.uint8)
        written = call(pointer(weight), pointer(out), *weight.shape, pointer(importance))
        assert written == out.size
        return out

    def dequantize(self, scheme, stored):
        name, elements, size, _ = BLOCKS[scheme]
        call = getattr(self.lib, f"dequantize_row_{name}")
        call.restype = None
        call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        out = np.zeros(stored.size // size * elements, np.float32)
        call(pointer(stored), pointer(out), out.size)
        return out

    def widen(self, name, halves):
        call = getattr(self.lib, name)
        call.restype = None
        call.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        out = np.zeros(halves.size, np.float32)
        call(pointer(halves), pointer(out), halves.size)
        return out


def collect_importance(model, tokenizer, text):
    """Mean square of every linear layer's input channels over 16 windows of 256 tokens."""
    import torch
    sums = {}

    def hook(name):
        return lambda module, args: sums.update({name: (args[0].float() ** 2).mean((0, 1)).numpy()})

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(hook(name))
    ids = torch.tensor(tokenizer(text[:60000])["input_ids"][:16 * 256]).view(16, 256)
    with torch.no_grad():
        model(ids)
    return sums


def make_sources(args, rng):
    import torch
    import transformers
    model = transformers.AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(args.model)
    importance = collect_importance(model, tokenizer, pathlib.Path(args.text).read_text())
    weights = dict(model.named_parameters())
    for name, first, rows in SOURCES:
        weight = weights[name + ".weight"].detach().numpy()[first:first + rows]
        yield name, np.ascontiguousarray(weight, np.float32), importance[name].astype(np.float32)
    yield "gauss", rng.normal(0, 0.03, (4, 512)).astype(np.float32), np.ones(512, np.float32)
    heavy = rng.standard_t(3, (4, 512)) * 0.02 * (1 + np.arange(512) / 128)
    yield "heavy tails", heavy.astype(np.float32), np.exp(rng.normal(0, 1.5, 512)).astype(np.float32)
    shifted = np.abs(rng.normal(0.02, 0.01, (2, 512)))
    yield "one sign", shifted.astype(np.float32), np.exp(rng.normal(0, 1, 512)).astype(np.float32)


def sparse_source():
    """Four of five weights are zero."""
    rng = np.random.default_rng(20240919)
    weight = rng.normal(0, 0.03, (4, 512)) * (rng.random((4, 512)) < 0.2)
    return "sparse", weight.astype(np.float32), np.exp(rng.normal(0, 1, 512)).astype(np.float32)


def decode_blocks(ggml, scheme, rng):
    """Zeros; all ones with finite scales; random bytes with any finite fp16 (denormals, negatives); ggml's own of normal weights."""
    _, elements, size, halves = BLOCKS[scheme]
    count = 16 if elements == 32 else 5
    random = rng.integers(0, 256, (count, size), dtype=np.uint8)
    full = np.full((1, size), 255, np.uint8)
    blocks = np.concatenate([np.zeros((1, size), np.uint8), full, random])
    if scheme == "gguf:iq1_m":  # four bits of its fp16 number in each of the last four shorts, the exponent's in the last
        blocks[1:, 55] = np.where(blocks[1:, 55] & 0x70 == 0x70, blocks[1:, 55] & 0xBF, blocks[1:, 55])
    for row, block in enumerate(blocks[1:]):
        for at in halves:
            half = rng.integers(0, 0x7C00) | (rng.integers(0, 2) << 15)
            half = 0x8001 if row == 1 else half  # the smallest denormal, negative
            block[at:at + 2] = np.frombuffer(np.uint16(half).tobytes(), np.uint8)
    weight = rng.normal(0, 0.02, (1, elements * 2)).astype(np.float32)
    return np.concatenate([blocks.reshape(-1), ggml.quantize(scheme, weight, None)])


def add_decode(ggml, scheme, rng, index, data):
    stored = decode_blocks(ggml, scheme, rng)
    decoded = ggml.dequantize(scheme, stored)
    index["decode"].append({"scheme": scheme, "values": int(decoded.size), "stored": data.put(stored),
                            "decoded": data.put(decoded)})


def add_encode(ggml, scheme, name, weight, importance, index):
    errors = []
    for metric, given in ((importance, importance), (np.ones_like(importance), None)):
        decoded = ggml.dequantize(scheme, ggml.quantize(scheme, weight, given)).reshape(weight.shape)
        errors.append(float((metric * (decoded.astype(np.float64) - weight) ** 2).sum()))
    index["encode"].append({"source": name, "scheme": scheme, "weighted_error": errors[0],
                            "plain_error": errors[1]})


def add_scheme(ggml, scheme, index, data):
    """One more scheme on the sources that the files hold, with a generator of its own: nothing else changes."""
    add_decode(ggml, scheme, np.random.default_rng(20240917), index, data)
    if scheme in READ_ONLY:
        return
    for source in index["sources"]:
        rows, cols = source["rows"], source["cols"]
        bits = np.frombuffer(data.data, np.uint16, rows * cols, source["weight_bf16"])
        importance = np.frombuffer(data.data, np.float32, cols, source["importance"]).copy()
        add_encode(ggml, scheme, source["name"], bf16_values(bits).reshape(rows, cols), importance, index)


def add_source(ggml, source, index, data):
    """One more source with all schemes' errors on it."""
    name, weight, importance = source
    bits = bf16_bits(weight)
    weight = bf16_values(bits)
    index["sources"].append({"name": name, "rows": weight.shape[0], "cols": weight.shape[1],
                             "weight_bf16": data.put(bits), "importance": data.put(importance)})
    for scheme in BLOCKS:
        if scheme not in READ_ONLY:
            add_encode(ggml, scheme, name, weight, importance, index)


def write(out, index, data):
    out.mkdir(parents=True, exist_ok=True)
    (out / "ggml.json").write_text(json.dumps(index, indent=1) + "\n")
    (out / "ggml.bin").write_bytes(data.data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ggml", required=True)
    parser.add_argument("--model")
    parser.add_argument("--text")
    parser.add_argument("--add", choices=BLOCKS)
    parser.add_argument("--add-sparse", action="store_true")
    parser.add_argument("--out", default=str(pathlib.Path(__file__).parents[1] / "tests/fixtures/scheme"))
    args = parser.parse_args()
    out = pathlib.Path(args.out)
    if args.add or args.add_sparse:
        index, data = json.loads((out / "ggml.json").read_text()), Bin((out / "ggml.bin").read_bytes())
        if args.add:
            add_scheme(Ggml(args.ggml), args.add, index, data)
        else:
            add_source(Ggml(args.ggml), sparse_source(), index, data)
        return write(out, index, data)
    rng = np.random.default_rng(20240917)
    ggml, data = Ggml(args.ggml), Bin()
    index = {"decode": [], "sources": [], "encode": []}

    for scheme, name in (("f16", "ggml_fp16_to_fp32_row"), ("bf16", "ggml_bf16_to_fp32_row")):
        halves = np.concatenate([rng.integers(0, 1 << 16, 400), [0, 1, 0x8000, 0x3FF, 0x400, 0x7BFF, 0x7C00, 0xFC00]])
        halves = halves.astype(np.uint16)
        halves = halves[~np.isnan(ggml.widen(name, halves))]
        index["decode"].append({"scheme": scheme, "values": int(halves.size), "stored": data.put(halves),
                                "decoded": data.put(ggml.widen(name, halves))})
    for scheme in BLOCKS:
        add_decode(ggml, scheme, rng, index, data)
    for source in [*make_sources(args, rng), sparse_source()]:
        add_source(ggml, source, index, data)
    write(out, index, data)


if __name__ == "__main__":
    main()
