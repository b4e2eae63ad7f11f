#!/usr/bin/env python3
"""Writes the golden files of tests/fixtures/format with the formats' own Python packages.

Usage: python tools/make_format_fixtures.py [FOLDER]     (needs numpy, safetensors, gguf)
Values follow simple rules that the tests repeat, so that no second copy of the data is needed.
"""

import pathlib
import sys

import gguf
import numpy as np
from safetensors import TensorSpec, serialize_file


def write_safetensors(path):
    arrays = []  # the specifications below hold addresses only

    def tensor(dtype, shape, array):
        arrays.append(np.ascontiguousarray(array))
        return TensorSpec(dtype=dtype, shape=shape, data_ptr=arrays[-1].ctypes.data, data_len=array.nbytes)

    ramp = np.arange(6)
    tensors = {
        "weight.f32": tensor("float32", [2, 3], ramp.astype(np.float32) - 2.5),
        "weight.f16": tensor("float16", [3, 2], ramp.astype(np.float16) * 0.5),
        "weight.bf16": tensor("bfloat16", [6], (ramp.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)),
        "ids.i64": tensor("int64", [1, 6], -ramp.astype(np.int64)),
        "codes.i8": tensor("int8", [5], ramp[:5].astype(np.int8) - 2),
        "mask.bool": tensor("bool", [3], np.array([True, False, True])),
        "scalar.f64": tensor("float64", [], np.array(0.1)),
        "empty.u8": tensor("uint8", [0, 4], np.zeros(0, np.uint8)),
        "odd.f8": tensor("float8_e4m3fn", [2], np.array([1, 2], np.uint8)),
    }
    serialize_file(tensors, str(path), metadata={"note": "größer"})


def write_gguf(path):
    writer = gguf.GGUFWriter(str(path), "llama")
    for bits in (8, 16, 32, 64):
        getattr(writer, f"add_uint{bits}")(f"scalar.u{bits}", 2**bits - 1)
        getattr(writer, f"add_int{bits}")(f"scalar.i{bits}", -(2 ** (bits - 1)))
    writer.add_float32("scalar.f32", 0.1)
    writer.add_float64("scalar.f64", 0.1)
    writer.add_bool("scalar.bool", True)
    writer.add_string("scalar.string", "größer")
    writer.add_array("array.string", ["<s>", "", "a b"])
    writer.add_array("array.i32", [1, -2, 3])
    writer.add_array("array.f32", [0.5, -1000.0])
    writer.add_array("array.bool", [True, False])
    ramp = np.arange(24, dtype=np.float32)
    writer.add_tensor("plain.f32", ramp.reshape(2, 3, 4))
    writer.add_tensor("plain.f16", ramp[:6].astype(np.float16).reshape(3, 2))
    kinds = gguf.GGMLQuantizationType
    weights = (np.arange(512, dtype=np.float32) - 256).reshape(2, 256) / 64
    writer.add_tensor("rows.q8_0", gguf.quantize(weights, kinds.Q8_0), raw_dtype=kinds.Q8_0)
    for kind in (kinds.Q4_0, kinds.Q4_K, kinds.Q6_K, kinds.IQ4_XS):  # bytes that count up; only their extent matters
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        blocks = np.arange(2 * 256 // elements * size) % 251
        writer.add_tensor(f"rows.{kind.name.lower()}", blocks.astype(np.uint8).reshape(2, -1), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures/format")
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "golden.safetensors")
    write_gguf(folder / "golden.gguf")
