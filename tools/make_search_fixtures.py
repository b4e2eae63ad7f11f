"""What GPTQ, AWQ, SmoothQuant and rounding to nearest cost the outputs of tiny models' matrices, by PyTorch in float64.

    pip install torch transformers safetensors
    python tools/make_search_fixtures.py

Writes tests/fixtures/value_searches/golden.json: the tokens of the windows, the channels made loud, and per model,
scheme, method and matrix tr(E G E'), with E the error of what the matrix does to the site's own inputs and outputs
(folded scales undone) and G = E[x x'] of the model as it was; and what SmoothQuant leaves of the outputs' errors where
inputs are in 8 bits as well.

Written from the papers (GPTQ 2210.17323, AWQ 2306.00978, SmoothQuant 2211.10438) with what docs/values.md says differs:
static groups, damping relative to each channel, root mean squares, ranges by weighted squared error, query heads that
share scales.
"""
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM

FIXTURES = pathlib.Path(__file__).parent.parent / 'tests/fixtures'
MODELS = ['qwen2', 'rope_linear']  # grouped queries and biases of q, k, v; one key head, 24 wide, and biases everywhere
SCHEMES = ['int4:g32:asym', 'int3:channel:sym']
METHODS = ['nearest', 'gptq', 'awq', 'smoothquant']
WINDOWS, LENGTH, VOCABULARY = 10, 32, 320
LOUD = {'every': 16, 'first': 3, 'factor': 8.0}  # channels of every norm, like outlier features of real models
ROLES = {'attn_q': 'self_attn.q_proj', 'attn_k': 'self_attn.k_proj', 'attn_v': 'self_attn.v_proj',
         'attn_output': 'self_attn.o_proj', 'ffn_gate': 'mlp.gate_proj', 'ffn_up': 'mlp.up_proj',
         'ffn_down': 'mlp.down_proj'}
# Those that read the same channels, and the matrix whose rows make them (of the others a norm does).
SITES = [(['attn_q', 'attn_k', 'attn_v'], None), (['ffn_gate', 'ffn_up'], None), (['attn_output'], 'attn_v'),
         (['ffn_down'], 'ffn_up')]


class Grid:
    """Integers with a bfloat16 scale and, asymmetric ones, a whole zero point for every group of a row."""

    def __init__(self, scheme, cols):
        kind, group, symmetry = scheme.split(':')
        self.bits, self.symmetric = int(kind[3:]), symmetry == 'sym'
        self.group = cols if group == 'channel' else int(group[1:])

    def grouped(self, w):
        return w.reshape(w.shape[0], -1, self.group)

    def fit(self, low, high):
        """Scale and zero point of ranges, which hold 0."""
        top = 2 ** self.bits - 1
        wide = torch.maximum(-low, high) * 2 if self.symmetric else high - low
        scale = (wide / top).to(torch.bfloat16).double()
        zero = torch.full_like(scale, 2 ** (self.bits - 1)) if self.symmetric else (-low / scale).round().clamp(0, top)
        return scale, zero

    def ends(self, w):
        g = self.grouped(w)
        return g.amin(-1, keepdim=True).clamp(max=0), g.amax(-1, keepdim=True).clamp(min=0)

    def round(self, w, scale, zero):
        return ((w / scale + zero).round().clamp(0, 2 ** self.bits - 1) - zero) * scale

    def searched(self, w, weights):
        """Both ends of every range drawn in together, then each by itself: least weighted squared error."""
        g, columns = self.grouped(w), weights.reshape(1, -1, self.group)
        low, high = self.ends(w)
        best = [torch.ones_like(low), torch.ones_like(low)]
        least = torch.full_like(low, torch.inf)

        def consider(a, b):
            scale, zero = self.fit(low * a.clamp(max=1), high * b.clamp(max=1))
            error = (columns * (self.round(g, scale, zero) - g) ** 2).sum(-1, keepdim=True)
            better = error < least
            least.copy_(torch.where(better, error, least))
            for kept, tried in zip(best, (a, b)):
                kept.copy_(torch.where(better, tried, kept))

        for k in range(25):
            share = torch.full_like(low, 1 - 0.025 * k)
            consider(share, share)
        for _ in range(2):
            for by in (-0.05, -0.025, 0.025, 0.05):
                consider(best[0] + by, best[1].clone())
                consider(best[0].clone(), best[1] + by)
        return self.fit(low * best[0].clamp(max=1), high * best[1].clamp(max=1))


def nearest(grid, w, steps=None):
    scale, zero = steps or grid.fit(*grid.ends(w))
    return grid.round(grid.grouped(w), scale, zero).reshape(w.shape)


def gptq(grid, w, gram):
    """Algorithm 1 with act-order, a column at a time."""
    scale, zero = grid.fit(*grid.ends(w))
    h = 0.99 * gram + 0.01 * torch.diag(gram.diagonal())
    order = gram.diagonal().argsort(descending=True)
    upper = torch.linalg.cholesky(torch.linalg.inv(h[order][:, order]), upper=True)
    left, made = w[:, order].clone(), torch.empty_like(w)
    for j, col in enumerate(order.tolist()):
        at = col // grid.group
        value = grid.round(left[:, j], scale[:, at, 0], zero[:, at, 0])
        made[:, col] = value
        left[:, j + 1:] -= torch.outer((left[:, j] - value) / upper[j, j], upper[j, j + 1:])
    return made


def mean_squares(gram):
    """Weights of the columns: idle channels keep a ten-thousandth of the mean."""
    return gram.diagonal() + 1e-4 * gram.diagonal().mean()


def output_error(error, gram):
    return ((error @ gram) * error).sum().item()


def centred(scales):
    return scales / (scales.max() * scales.min()).sqrt()


class Layer:
    """The matrices of a layer, what enters them, and what folding has made of both."""

    def __init__(self, weights, inputs, head_dim, scheme):
        self.weights, self.head_dim, self.scheme = weights, head_dim, scheme
        self.inputs = inputs
        self.gram = {role: x.T @ x / len(x) for role, x in inputs.items()}
        self.columns = {role: torch.ones(w.shape[1]).double() for role, w in weights.items()}
        self.rows = {role: torch.ones(w.shape[0]).double() for role, w in weights.items()}

    def folded(self, role):
        return self.weights[role] * self.columns[role] / self.rows[role][:, None]

    def folded_gram(self, role, scales=None):
        s = self.columns[role] if scales is None else scales
        return self.gram[role] / torch.outer(s, s)

    def grid(self, role):
        return Grid(self.scheme, self.weights[role].shape[1])

    def shared(self, maker, scales):
        """Channels of the output's input that one row of v makes: those of the query heads of a key head."""
        if maker != 'attn_v':
            return scales
        heads = scales.log().reshape(self.weights['attn_v'].shape[0] // self.head_dim, -1, self.head_dim)
        return heads.mean(1, keepdim=True).expand_as(heads).exp().reshape(-1)

    def fold(self, roles, maker, scales):
        for role in roles:
            self.columns[role] = scales
        if maker == 'attn_v':
            per_key = scales.reshape(self.weights[maker].shape[0] // self.head_dim, -1, self.head_dim)
            self.rows[maker] = per_key[:, 0].reshape(-1)
        elif maker:
            self.rows[maker] = scales

    def awq_scales(self, roles, maker):
        size = self.gram[roles[0]].diagonal().sqrt()
        size = size.clamp(min=1e-3 * size.mean().item())
        least, best = None, None
        for step in range(20):
            scales = self.shared(maker, centred(size ** (0.05 * step)))
            total = 0
            for role in roles:
                grid, w = self.grid(role), self.folded(role) * scales
                made = nearest(grid, w, grid.searched(w, mean_squares(self.folded_gram(role, scales))))
                total += output_error((made - w) / scales, self.gram[role])
            if least is None or total < least:
                least, best = total, scales if step else None
        return best

    def smooth_scales(self, roles, maker):
        inputs = self.inputs[roles[0]].abs().amax(0).clamp(min=1e-5)
        weights = torch.stack([self.folded(role).abs().amax(0) for role in roles]).amax(0).clamp(min=1e-5)
        return self.shared(maker, centred((inputs / weights).sqrt()))

    def quantized(self, method):
        for roles, maker in SITES:
            scales = None
            if method == 'awq':
                scales = self.awq_scales(roles, maker)
            elif method == 'smoothquant':
                scales = self.smooth_scales(roles, maker)
            if scales is not None:
                self.fold(roles, maker, scales)
        errors = {}
        for role, weight in self.weights.items():
            grid, w = self.grid(role), self.folded(role)
            if method == 'gptq':
                made = gptq(grid, w, self.gram[role])
            elif method == 'awq':
                made = nearest(grid, w, grid.searched(w, mean_squares(self.folded_gram(role))))
            else:
                made = nearest(grid, w)
            undone = made / self.columns[role] * self.rows[role][:, None]
            errors[role] = output_error(undone - weight, self.gram[role])
        return errors


def made_up_windows():
    state, windows = 12345, []
    for _ in range(WINDOWS):
        window = []
        for _ in range(LENGTH):
            state = (state * 1664525 + 1013904223) % 2 ** 32
            window.append(3 + (state >> 8) % (VOCABULARY - 3))
        windows.append(window)
    return windows


def load(name):
    model = AutoModelForCausalLM.from_pretrained(FIXTURES / 'models' / name, attn_implementation='eager').eval()
    with torch.no_grad():
        for layer in model.model.layers:
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                norm.weight[LOUD['first']::LOUD['every']] *= LOUD['factor']
    return model.double()


def inputs_of(model, windows):
    """What enters every matrix, of all windows. @shape name: [tokens, channels]"""
    found, hooks = {}, []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            hooks.append(module.register_forward_pre_hook(
                lambda _, args, name=name: found.setdefault(name, []).append(args[0].flatten(0, 1))))
    for window in windows:
        model(torch.tensor([window]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return {name: torch.cat(rows) for name, rows in found.items()}


def layers_of(name, windows):
    """Of every layer the arguments of Layer but the scheme: weights and inputs by role, and how wide a head is."""
    model = load(name)
    inputs, config = inputs_of(model, windows), model.config
    head_dim = getattr(config, 'head_dim', None) or config.hidden_size // config.num_attention_heads
    return [({role: block.get_submodule(path).weight.detach() for role, path in ROLES.items()},
             {role: inputs[f'model.layers.{number}.{path}'] for role, path in ROLES.items()}, head_dim)
            for number, block in enumerate(model.model.layers)]


@torch.no_grad()
def measure(name, windows):
    layers, found = layers_of(name, windows), {}
    for scheme in SCHEMES:
        for method in METHODS:
            errors = found.setdefault(scheme, {}).setdefault(method, {})
            for number, layer in enumerate(layers):
                for role, error in Layer(*layer, scheme).quantized(method).items():
                    errors[f'L{number}.{role}'] = float(f'{error:.6g}')
            print(name, scheme, method, sum(errors.values()))
    return found


def in_8_bits(x):
    """Each token by its range."""
    step = x.abs().amax(-1, keepdim=True) / 127
    return (x / step).round() * step


@torch.no_grad()
def smoothed_share(name, windows):
    """Where weights (int8:channel:sym) and what enters them are in 8 bits: the squared error of a matrix's outputs folded by
    SmoothQuant, as a share of what it is by rounding. @return the mean over matrices"""
    shares = []
    for weights, entering, head_dim in layers_of(name, windows):
        plain, smoothed = (Layer(weights, entering, head_dim, 'int8:channel:sym') for _ in range(2))
        for roles, maker in SITES:
            smoothed.fold(roles, maker, smoothed.smooth_scales(roles, maker))
        for role, weight in weights.items():
            wanted = entering[role] @ weight.T
            errors = [(((in_8_bits(entering[role] / layer.columns[role]) @ nearest(layer.grid(role), layer.folded(role)).T)
                        * layer.rows[role] - wanted) ** 2).sum().item() for layer in (smoothed, plain)]
            shares.append(errors[0] / errors[1])
    return float(f'{sum(shares) / len(shares):.6g}')


if __name__ == '__main__':
    windows = made_up_windows()
    golden = {'windows': windows, 'loud': LOUD, 'errors': {name: measure(name, windows) for name in MODELS},
              'smoothed_shares': {name: smoothed_share(name, windows) for name in MODELS}}
    folder = FIXTURES / 'value_searches'
    folder.mkdir(exist_ok=True)
    (folder / 'golden.json').write_text(json.dumps(golden) + '\n')
