"""Gradient norm, greatest Hessian eigenvalue and trace of tiny models' losses by PyTorch, in float64.

    pip install torch transformers safetensors
    python tools/make_curvature_fixtures.py

Writes tests/fixtures/curvature/golden.json: per model (vit: cross entropy of its golden file's images and labels; llama:
mean -log p of the next token of each of its two rows) and of what (matrices, or all parameters) the loss, the norm of the
gradient, the eigenvalue of the greatest magnitude, by power iteration to 1e-6, the trace over random signs with its standard
error, and the expansion of the loss along the weights themselves: g w and w H w / 2.
"""
import json
import math
import pathlib

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, ViTForImageClassification

FIXTURES = pathlib.Path(__file__).parent.parent / 'tests/fixtures'
PROBES = 150


def vit():
    folder = FIXTURES / 'vision_models/vit'
    golden = load_file(folder / 'golden.safetensors')
    model = ViTForImageClassification.from_pretrained(folder, attn_implementation='eager').double().eval()
    loss = torch.nn.functional.cross_entropy
    return model, lambda: loss(model(golden['pixel_values'].double()).logits, golden['labels'])


def llama():
    folder = FIXTURES / 'models/llama'
    ids = load_file(folder / 'golden.safetensors')['input_ids']
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation='eager').double().eval()
    loss = torch.nn.functional.cross_entropy
    return model, lambda: loss(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def is_matrix(name, parameter):
    return parameter.dim() in (2, 4) and 'position' not in name  # 4: the patches' convolution


def measure(model, loss, parameters):
    value = loss()
    gradient = torch.autograd.grad(value, parameters, create_graph=True)

    def times(v):
        along = sum((g * d).sum() for g, d in zip(gradient, v))
        return [p.detach() for p in torch.autograd.grad(along, parameters, retain_graph=True)]

    def dot(a, b):
        return float(sum((x * y).sum() for x, y in zip(a, b)))

    v = [torch.randn_like(p) for p in parameters]
    before = math.inf
    for _ in range(2000):
        length = math.sqrt(dot(v, v))
        v = [x / length for x in v]
        product = times(v)
        top = dot(v, product)
        if abs(top - before) < 1e-6 * abs(top):
            break
        before, v = top, product
    traces = []
    for _ in range(PROBES):
        signs = [torch.randint(0, 2, p.shape).double() * 2 - 1 for p in parameters]
        traces.append(dot(signs, times(signs)))
    traces = torch.tensor(traces, dtype=torch.float64)
    weights = [p.detach() for p in parameters]
    return {'loss': value.item(), 'gradient_norm': math.sqrt(dot(gradient, gradient)), 'top_eigenvalue': top,
            'trace': traces.mean().item(), 'trace_stderr': traces.std().item() / math.sqrt(PROBES),
            'first': dot(gradient, weights), 'second': dot(weights, times(weights)) / 2}


if __name__ == '__main__':
    torch.manual_seed(1)
    found = {}
    for make in (vit, llama):
        model, loss = make()
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        found[make.__name__] = {'matrices': measure(model, loss, [p for n, p in named if is_matrix(n, p)]),
                                'all': measure(model, loss, [p for _, p in named])}
        print(make.__name__, found[make.__name__])
    folder = FIXTURES / 'curvature'
    folder.mkdir(exist_ok=True)
    (folder / 'golden.json').write_text(json.dumps(found, indent=1) + '\n')
