"""Writes tests/fixtures/images: small made-up pictures in several formats, and what Pillow and Hugging Face make of them.

  python3 -m venv /tmp/images && /tmp/images/bin/pip install "transformers<5" safetensors pillow
  /tmp/images/bin/python3 tools/make_image_fixtures.py

golden.safetensors: `rgb/FILE` [height, width, 3] of convert("RGB"); `resized/FILTER/WIDTHxHEIGHT` of wave.png; `pixels/CONFIG/FILE`
[3, height, width] of the image processor whose preprocessor_config.json is configs/CONFIG.json.
"""
import json
import pathlib

import numpy as np
from PIL import Image
from safetensors.numpy import save_file
from transformers import CLIPImageProcessor, DeiTImageProcessor, ViTImageProcessor

folder = pathlib.Path(__file__).parent.parent / "tests/fixtures/images"
(folder / "configs").mkdir(parents=True, exist_ok=True)
random = np.random.default_rng(15)


def picture(width, height, noise):
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / 3 + c) + np.cos(y / (4 + c)) + np.sin((x + y) / 7) for c in range(3)]
    values = np.stack(waves, -1) * 40 + 128 + random.normal(0, noise, (height, width, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


wave = picture(53, 37, 25)
alpha = Image.fromarray(random.integers(0, 256, (20, 31), dtype=np.uint8))
with_alpha = picture(31, 20, 10)
with_alpha.putalpha(alpha)
pictures = {
    "wave.png": (wave, {}),
    "grey.png": (picture(24, 33, 10).convert("L"), {}),
    "alpha.png": (with_alpha, {}),
    "palette.png": (picture(28, 28, 5).quantize(16), {}),
    "photo.jpg": (picture(61, 45, 15), {"quality": 85}),
    "progressive.jpg": (picture(40, 40, 15), {"quality": 90, "progressive": True, "subsampling": 0}),
    "grey.jpg": (picture(32, 32, 15).convert("L"), {"quality": 90}),
    "wave.bmp": (picture(17, 19, 20), {}),
    "wave.ppm": (picture(19, 17, 20), {}),
    "wave.webp": (picture(23, 29, 20), {"lossless": True}),
}
configs = {
    "vit32": {"image_processor_type": "ViTImageProcessor", "size": {"height": 32, "width": 32}, "resample": 2},
    "clip32": {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "resample": 3,
               "crop_size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.25]},
    "deit24": {"image_processor_type": "DeiTImageProcessor", "size": {"height": 30, "width": 30}, "crop_size": 24},
    "clip_lanczos": {"image_processor_type": "CLIPImageProcessor", "size": 20, "resample": 1, "crop_size": 28},
    "crop_only": {"feature_extractor_type": "CLIPFeatureExtractor", "do_resize": False, "crop_size": 36,
                  "do_normalize": False},
}
processors = {"vit32": ViTImageProcessor, "clip32": CLIPImageProcessor, "deit24": DeiTImageProcessor,
              "clip_lanczos": CLIPImageProcessor, "crop_only": CLIPImageProcessor}
golden = {}
for name, (image, options) in pictures.items():
    image.save(folder / name, **options)
    golden[f"rgb/{name}"] = np.asarray(Image.open(folder / name).convert("RGB"))
for number, kind in [(0, "nearest"), (1, "lanczos"), (2, "bilinear"), (3, "bicubic"), (4, "box"), (5, "hamming")]:
    for width, height in [(32, 32), (17, 90), (120, 11), (53, 20), (24, 37), (1, 1)]:
        golden[f"resized/{number}/{width}x{height}"] = np.asarray(wave.resize((width, height), number))
for name, config in configs.items():
    (folder / "configs" / f"{name}.json").write_text(json.dumps(config) + "\n")
    processor = processors[name](**{k: v for k, v in config.items() if not k.endswith("_type")})
    for file in pictures:
        values = processor(Image.open(folder / file).convert("RGB"), return_tensors="np")["pixel_values"]
        golden[f"pixels/{name}/{file}"] = np.ascontiguousarray(values[0], dtype=np.float32)
save_file({name: np.ascontiguousarray(values) for name, values in golden.items()}, folder / "golden.safetensors")
(folder / "truncated.jpg").write_bytes((folder / "photo.jpg").read_bytes()[:1200])
(folder / "truncated.png").write_bytes((folder / "wave.png").read_bytes()[:2000])
