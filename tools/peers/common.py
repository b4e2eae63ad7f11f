"""What the peers share: the windows that vernier calibrated on, token by token, and a folder of the values that they found."""

import os
import shutil
import sys

import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

os.environ.setdefault("HF_HUB_OFFLINE", "1")
GROUP = 128  # columns that share a scale; 4 bits, symmetric, the embedding and the output matrix kept


def arguments():
    """MODEL_DIR CALIBRATION OUT, the second as `vernier calibrate` writes it."""
    if len(sys.argv) != 4:
        sys.exit(f"usage: python {sys.argv[0]} MODEL_DIR calibration.safetensors OUT")
    torch.manual_seed(0)
    return sys.argv[1:]


def windows(calibration, context=512):
    """Token ids, int64 [context] each; shorter windows are left out."""
    with safe_open(calibration, "pt") as file:
        tokens = file.get_tensor("text.tokens").long()
        lengths = file.get_tensor("text.windows")[:, 0].tolist()
    return [window for window in tokens.split(lengths) if len(window) == context]


def load(model_dir):
    return (AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32),
            AutoTokenizer.from_pretrained(model_dir))


def levels(matrix):
    """The most values that a group of the matrix holds, those apart by no more than float32 rounds counted once."""
    groups = matrix.float().reshape(-1, GROUP).sort(dim=1).values
    apart = groups.diff(dim=1) > 1e-5 * groups.abs().amax(dim=1, keepdim=True)
    return int(apart.sum(dim=1).max()) + 1


def save(model_dir, values, out, input_scales=None):
    """The model with these values where they have its names and shapes, float32. A matrix whose inputs a peer multiplies by
    input_scales[name], [columns], is the product of its values and them. Exits if a changed matrix has more than 16 levels
    in a group: it would not be in 4 bits."""
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    state = model.state_dict()
    changed = 0
    for name, own in state.items():
        if name not in values or values[name].shape != own.shape:
            continue
        found = values[name].detach().float()
        if not torch.equal(own, found):
            changed += 1
            if found.dim() != 2 or levels(found) > 16:
                sys.exit(f"{out}: {name} {list(found.shape)} is not in 4 bits, groups of {GROUP}: "
                         f"{levels(found) if found.dim() == 2 else 'not a matrix'}; has this version another output?")
        own.copy_(found * (input_scales or {}).get(name, torch.ones(1)))
    if changed == 0:
        sys.exit(f"{out}: no matrix was changed: have the names of {model_dir} another prefix?")
    model.save_pretrained(out, safe_serialization=True)
    for name in os.listdir(model_dir):
        if "token" in name:
            shutil.copy(os.path.join(model_dir, name), out)
    print(f"{out}: {changed} tensors changed")
