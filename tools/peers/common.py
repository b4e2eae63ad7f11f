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


def save(model_dir, values, out):
    """The model with these values where they have its names and shapes, float32."""
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    state = model.state_dict()
    changed = 0
    for name, own in state.items():
        if name in values and values[name].shape == own.shape:
            changed += int(not torch.equal(own, values[name].float()))
            own.copy_(values[name].float())
    if changed == 0:
        sys.exit(f"{out}: no matrix was changed: have the names of {model_dir} another prefix?")
    model.save_pretrained(out, safe_serialization=True)
    for name in os.listdir(model_dir):
        if "token" in name:
            shutil.copy(os.path.join(model_dir, name), out)
    print(f"{out}: {changed} tensors changed")
