"""Writes src/scheme/codebook_points.cpp: the points of ggml's codebooks, which are part of its file format.

  python3 tools/make_codebooks.py     # needs the PyPI packages gguf (0.19) and numpy, and clang-format-14
"""
import pathlib
import subprocess

import numpy as np
from gguf import quants

BOOKS = [("iq2_xxs", quants.IQ2_XXS), ("iq2_xs", quants.IQ2_XS), ("iq2_s", quants.IQ2_S), ("iq3_xxs", quants.IQ3_XXS),
         ("iq3_s", quants.IQ3_S), ("iq1", quants.IQ1_S)]


def packed(book):
    """Per point 16 bits: the index of the level of every weight, the first in the lowest bits."""
    book.init_grid()
    points = book.grid.reshape(book.grid_shape)
    levels = np.array(book.grid_map, np.float32)
    index = np.searchsorted(levels, points).astype(np.uint32)
    assert np.array_equal(levels[index], points) and len(np.unique(points, axis=0)) == len(points)
    bits = 16 // points.shape[1]
    return (index << (bits * np.arange(points.shape[1], dtype=np.uint32))).sum(1)


def main():
    text = ("// Made by tools/make_codebooks.py from the grids of the PyPI package gguf 0.19. Per point the indices of its "
            "weights'\n// levels: 2 bits each of 8 weights (iq1, iq2) or 4 bits each of 4 (iq3), the first in the lowest.\n\n"
            '#include "scheme/codebook_points.h"\n\nnamespace vernier {\n\n')
    for name, book in BOOKS:
        values = ", ".join(f"0x{v:04x}" for v in packed(book))
        text += (f"std::span<const uint16_t> {name}_points() {{\n"
                 f"  static constexpr uint16_t kPoints[] = {{{values}}};\n  return kPoints;\n}}\n\n")
    path = pathlib.Path(__file__).parents[1] / "src/scheme/codebook_points.cpp"
    path.write_text(text + "}  // namespace vernier\n")
    subprocess.run(["clang-format-14", "-i", path], check=True)


if __name__ == "__main__":
    main()
