"""Writes tests/fixtures/reliability: what other libraries say of made-up logits, scores and pictures.

  python3 -m venv /tmp/reliability && /tmp/reliability/bin/pip install numpy scipy scikit-learn scikit-image pillow \\
      opencv-python-headless torchmetrics torch==2.13.0
  /tmp/reliability/bin/python3 tools/make_reliability_fixtures.py

confidence.json: torchmetrics' calibration errors, scikit-learn's Brier score and log loss, scipy's temperature.
detection.json: scikit-learn's areas and false positive rates.
corruptions.json: the deterministic operators of ImageNet-C by the libraries that its authors' script calls
(scipy.ndimage, scikit-image, OpenCV, Pillow) on one picture of 16 x 16, at all severities.
"""
import json
import pathlib

import cv2
import numpy as np
import torch
from PIL import Image
from scipy import ndimage, optimize
from scipy.special import log_softmax, softmax
from skimage import color, filters
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score, roc_curve
from torchmetrics.functional.classification import multiclass_calibration_error

FOLDER = pathlib.Path(__file__).parent.parent / "tests/fixtures/reliability"


def confidence():
    examples, classes, bins = 400, 5, 15
    random = np.random.default_rng(15)
    labels = random.integers(0, classes, examples)
    logits = random.normal(0, 1.5, (examples, classes))
    logits[np.arange(examples), labels] += 1.5
    logits = np.round(logits * 0.9, 4).astype(np.float32)
    p = softmax(logits.astype(np.float64), axis=1)

    def error(norm):
        return float(multiclass_calibration_error(torch.tensor(p), torch.tensor(labels), classes, n_bins=bins, norm=norm))

    confidence, correct = p.max(1), p.argmax(1) == labels
    order = np.argsort(confidence, kind="stable")
    mass = sum(len(b) / examples * abs(correct[b].mean() - confidence[b].mean()) for b in np.array_split(order, bins))
    one_hot = np.eye(classes)[labels]
    classwise = 0.0
    for c in range(classes):
        which = np.clip(np.ceil(p[:, c] * bins) - 1, 0, bins - 1)
        classwise += sum(abs((one_hot[which == b, c] - p[which == b, c]).sum()) for b in range(bins)) / examples / classes

    def loss(inverse):
        return -log_softmax(logits.astype(np.float64) * inverse, axis=1)[np.arange(examples), labels].mean()

    inverse = optimize.minimize_scalar(loss, bounds=(1e-3, 10), method="bounded", options={"xatol": 1e-12}).x
    return {
        "classes": classes, "bins": bins, "labels": labels.tolist(), "logits": logits.ravel().tolist(),
        "ece": error("l1"), "mce": error("max"), "ece_equal_mass": float(mass),
        "ece_signed": float((confidence - correct).mean()), "ece_classwise": float(classwise),
        "brier": float(brier_score_loss(labels, p, labels=list(range(classes)), scale_by_half=False)),
        "loss_nats": float(log_loss(labels, p)), "temperature": float(1 / inverse),
    }


def detection():
    random = np.random.default_rng(16)
    inside = np.round(random.normal(1, 1, 300), 1)  # rounded: many ties
    outside = np.round(random.normal(0, 1, 200), 1)
    weights = random.integers(0, 4, 500)
    scores, is_inside = np.concatenate([inside, outside]), np.concatenate([np.ones(300), np.zeros(200)])

    def figures(w):
        fpr, tpr, _ = roc_curve(is_inside, scores, sample_weight=w, drop_intermediate=False)
        return {
            "auroc": float(roc_auc_score(is_inside, scores, sample_weight=w)),
            "aupr_in": float(average_precision_score(is_inside, scores, sample_weight=w)),
            "aupr_out": float(average_precision_score(1 - is_inside, -scores, sample_weight=w)),
            "fpr95": float(fpr[np.argmax(tpr >= 0.95 - 1e-12)]),
        }

    return {"inside": inside.tolist(), "outside": outside.tolist(), "weights": weights.tolist(),
            "plain": figures(None), "weighted": figures(weights.astype(float))}


def picture(side=16):
    """A picture with edges, slopes and all hues, of whole numbers."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    rgb = np.stack([127 + 120 * np.sin(x / 3), 255 * (y / side), 127 + 120 * np.cos((x + 2 * y) / 5)], -1)
    rgb[4:10, 5:12] = [230, 40, 60]
    rgb[6:8, 2:15] = [20, 200, 240]
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def disk(radius, alias_blur):
    size, ksize = (np.arange(-8, 9), (3, 3)) if radius <= 8 else (np.arange(-radius, radius + 1), (5, 5))
    x, y = np.meshgrid(size, size)
    kernel = np.array((x**2 + y**2) <= radius**2, dtype=np.float32)
    return cv2.GaussianBlur(kernel / kernel.sum(), ksize=ksize, sigmaX=alias_blur)


def clipped_zoom(x, zoom):
    side = x.shape[0]
    crop = int(np.ceil(side / zoom))
    top = (side - crop) // 2
    out = ndimage.zoom(x[top:top + crop, top:top + crop], (zoom, zoom, 1), order=1)
    trim = (out.shape[0] - side) // 2
    return out[trim:trim + side, trim:trim + side]


def defocus(x, c):
    kernel = disk(*c)
    return np.stack([cv2.filter2D(x[:, :, d], -1, kernel) for d in range(3)], -1)


def zoom_blur(x, c):
    factors = np.arange(1, c[0], c[1])
    return (x + sum(clipped_zoom(x, f) for f in factors)) / (len(factors) + 1)


def contrast(x, c):
    mean = x.mean(axis=(0, 1), keepdims=True)
    return (x - mean) * c + mean


def in_hsv(x, channel, change):
    hsv = color.rgb2hsv(x)
    hsv[:, :, channel] = np.clip(change(hsv[:, :, channel]), 0, 1)
    return color.hsv2rgb(hsv)


def jpeg(image, quality):
    import io
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def pixelate(image, c):
    side = image.shape[0]
    small = Image.fromarray(image).resize((int(side * c), int(side * c)), Image.BOX)
    return np.array(small.resize((side, side), Image.BOX))


def corruptions():
    image = picture()
    x = image / 255.0
    small = {
        "gaussian_blur": [filters.gaussian(x, sigma=c, channel_axis=-1) for c in (.4, .6, .7, .8, 1)],
        "defocus_blur": [defocus(x, c) for c in ((.3, .4), (.4, .5), (.5, .6), (1, .2), (1.5, .1))],
        "zoom_blur": [zoom_blur(x, (c, .01)) for c in (1.06, 1.11, 1.16, 1.21, 1.26)],
        "contrast": [contrast(x, c) for c in (.75, .5, .4, .3, .15)],
        "brightness": [in_hsv(x, 2, lambda v, c=c: v + c) for c in (.05, .1, .15, .2, .3)],
        "saturate": [in_hsv(x, 1, lambda s, c=c: s * c[0] + c[1])
                     for c in ((.3, 0), (.1, 0), (1.5, 0), (2, .1), (2.5, .2))],
    }
    result = {name: [np.clip(v, 0, 1).ravel().round(5).tolist() for v in values] for name, values in small.items()}
    # 8 bits in, 8 bits out.
    result["jpeg"] = [(jpeg(image, c) / 255).ravel().round(5).tolist() for c in (80, 65, 58, 50, 40)]
    result["pixelate"] = [(pixelate(image, c) / 255).ravel().round(5).tolist() for c in (.95, .9, .85, .75, .65)]
    # Pieces of elastic_transform, whose displacements are drawn.
    random = np.random.default_rng(17)
    field = random.uniform(-1, 1, (16, 16)).astype(np.float32)
    smooth = ndimage.gaussian_filter(field.astype(np.float64), 1.28, mode="reflect", truncate=3)
    row, col = np.meshgrid(np.arange(16.), np.arange(16.), indexing="ij")
    moved = np.stack([ndimage.map_coordinates(x[:, :, d], [row + 3 * smooth, col - 2 * smooth], order=1, mode="reflect")
                      for d in range(3)], -1)
    return {"image": image.ravel().tolist(), "side": 16, "operators": result,
            "field": field.ravel().tolist(), "smooth": smooth.ravel().tolist(), "moved": moved.ravel().round(6).tolist()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in (("confidence", confidence), ("detection", detection), ("corruptions", corruptions)):
        (FOLDER / f"{name}.json").write_text(json.dumps(make()) + "\n")
