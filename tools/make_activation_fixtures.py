"""Writes tests/fixtures/ops/activations.bin: rows of activations and what ggml's kernels make of them.

  python3 tools/make_activation_fixtures.py --ggml .../libggml-base.so

libggml-base.so comes with the npm package @node-llama-cpp/linux-x64. Needs numpy.
"""
import argparse
import ctypes
import pathlib

import numpy as np

BLOCKS = {"q8_0": (32, 34), "q8_K": (256, 292)}  # activations and bytes of a block


def round_trip(lib, name, x):
    values, size = BLOCKS[name]
    stored, out = np.zeros(x.size // values * size, np.uint8), np.zeros_like(x)
    for call, source, target in [(f"quantize_row_{name}_ref", x, stored), (f"dequantize_row_{name}", stored, out)]:
        function = getattr(lib, call)
        function.restype, function.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        function(source.ctypes.data, target.ctypes.data, x.size)
    return out


parser = argparse.ArgumentParser()
parser.add_argument("--ggml", required=True)
lib = ctypes.CDLL(parser.parse_args().ggml)
x = np.random.default_rng(1).standard_t(3, 1024).astype(np.float32)
x[256:512] *= 1e-6  # scales below the smallest normal half
x[512:768] = 0
x[768] = -50        # the largest value is negative: q8_K's scale is then positive
folder = pathlib.Path(__file__).parent.parent / "tests/fixtures/ops"
folder.mkdir(exist_ok=True)
np.concatenate([x, round_trip(lib, "q8_0", x), round_trip(lib, "q8_K", x)]).tofile(folder / "activations.bin")
