"""Writes tests/fixtures/scheme/float.json and float.bin: 8- and 4-bit floats as torch and compressed-tensors have them.

  python3 tools/make_float_fixtures.py     # needs the PyPI packages compressed-tensors (0.20), torch and numpy
"""
import json
import pathlib

import numpy as np
import torch
from compressed_tensors.compressors.nvfp4.helpers import pack_fp4_to_uint8, unpack_fp4_from_uint8
from compressed_tensors.quantization.utils.fp4_utils import cast_to_fp4

from make_scheme_fixtures import Bin

ROWS, COLS = 128, 128
E4M3 = torch.float8_e4m3fn


def random_e4m3(rng, shape):
    """Any pattern but the two of NaN."""
    patterns = rng.integers(0, 254, shape, dtype=np.uint8)
    return patterns + (patterns >= 127)


def as_e4m3(patterns):
    return torch.from_numpy(patterns).view(E4M3).to(torch.float32)


def grouped(values, scales, group):
    rows, cols = values.shape
    return (values.reshape(rows, cols // group, group) * scales[..., None]).reshape(rows, cols)


def decode_cases(rng):
    scale = lambda *shape: torch.from_numpy(np.exp(rng.normal(-4, 2, shape)).astype(np.float32))
    for name, rows, cols, shape in (("tensor", 4, 256, (1, 1)), ("channel", 4, 256, (4, 1)), ("b128", 128, 256, (1, 2))):
        codes, scales = random_e4m3(rng, (rows, cols)), scale(*shape)
        spread = scales.repeat_interleave(rows // shape[0], 0).repeat_interleave(cols // shape[1], 1)
        yield f"fp8:e4m3:{name}", codes.tobytes() + scales.numpy().tobytes(), as_e4m3(codes) * spread
    packed = rng.integers(0, 256, (4, 128), dtype=np.uint8)
    values = unpack_fp4_from_uint8(torch.from_numpy(packed), 4, 256, torch.float32)
    exponents = rng.integers(0, 255, (4, 8), dtype=np.uint8)
    scales = torch.from_numpy(exponents).view(torch.float8_e8m0fnu).to(torch.float32)
    yield "mxfp4", packed.tobytes() + exponents.tobytes(), grouped(values, scales, 32)
    patterns = rng.integers(0, 127, (4, 16), dtype=np.uint8)
    shared = np.float32(731.25)
    yield ("nvfp4", packed.tobytes() + patterns.tobytes() + shared.tobytes(),
           grouped(values, as_e4m3(patterns) / torch.tensor(shared), 16))


def fp4_error(weight, scales, group):
    weight_groups = weight.reshape(weight.shape[0], -1, group)
    stored = cast_to_fp4((weight_groups / scales[..., None]).clamp(-6, 6)) * scales[..., None]
    return float(((stored.double() - weight_groups.double()) ** 2).sum())


def encode_cases(weight):
    """What the usual rules make: absmax for the scales, the nearest numbers. Sums of squared errors."""
    peak = weight.abs()
    for name, top in (("tensor", peak.amax()), ("channel", peak.amax(1, keepdim=True)),
                      ("b128", peak.amax())):
        scales = top / 448
        stored = (weight / scales).to(E4M3).to(torch.float32) * scales
        yield f"fp8:e4m3:{name}", float(((stored.double() - weight.double()) ** 2).sum())
    powers = torch.exp2(torch.floor(torch.log2(peak.reshape(ROWS, -1, 32).amax(2))) - 2)
    yield "mxfp4", fp4_error(weight, powers, 32)
    shared = 448 * 6 / peak.amax()
    scales = (peak.reshape(ROWS, -1, 16).amax(2) / 6 * shared).to(E4M3).to(torch.float32) / shared
    yield "nvfp4", fp4_error(weight, scales, 16)


def main():
    rng = np.random.default_rng(20240918)
    data, index = Bin(), {"decode": [], "encode": [], "rows": ROWS, "cols": COLS}
    for scheme, stored, decoded in decode_cases(rng):
        ends = np.stack([decoded[0], decoded[-1]])
        index["decode"].append({"scheme": scheme, "rows": decoded.shape[0], "cols": decoded.shape[1],
                                "stored": data.put(np.frombuffer(stored, np.uint8)), "bytes": len(stored),
                                "first_and_last_row": data.put(ends)})
    weight = torch.from_numpy(rng.normal(0, 0.02, (ROWS, COLS)).astype(np.float32))
    weight *= torch.from_numpy(np.exp(rng.normal(0, 0.7, (ROWS, 1))).astype(np.float32))
    index["weight"] = data.put(weight.numpy())
    index["encode"] = [{"scheme": scheme, "error": error} for scheme, error in encode_cases(weight)]

    # Numbers to round, ties and the ends among them, and their patterns.
    eighths = np.arange(-512, 513) / np.float32(64)
    numbers = np.concatenate([eighths, rng.normal(0, 60, 500), 2.0 ** rng.uniform(-11, 9, 500),
                              np.arange(0, 64) / 2048, [448, 463, 464, 465, 1e9]]).astype(np.float32)
    fitting = torch.from_numpy(np.clip(numbers, -448, 448))
    index["numbers"] = {"count": int(numbers.size), "values": data.put(numbers),
                        "e4m3": data.put(fitting.to(E4M3).view(torch.uint8).numpy())}
    four = torch.from_numpy(np.clip(numbers, -6, 6)[:numbers.size // 2 * 2].reshape(1, -1))
    index["numbers"]["e2m1"] = data.put(pack_fp4_to_uint8(cast_to_fp4(four)).numpy())
    out = pathlib.Path(__file__).parents[1] / "tests/fixtures/scheme"
    (out / "float.json").write_text(json.dumps(index, indent=1) + "\n")
    (out / "float.bin").write_bytes(data.data)


if __name__ == "__main__":
    main()
