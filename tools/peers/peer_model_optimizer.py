"""NVIDIA Model-Optimizer's AWQ (INT4_AWQ_CFG: groups of 128, symmetric). The scale that it applies to a matrix' inputs is
multiplied into the values, which is what the two compute together."""

import copy

import modelopt.torch.quantization as mtq
import torch

from common import arguments, load, save, windows

model_dir, calibration, out = arguments()
model, _ = load(model_dir)
text = windows(calibration)


def run(network):
    with torch.no_grad():
        for ids in text:
            network(ids.unsqueeze(0))


quantized = mtq.quantize(model, copy.deepcopy(mtq.INT4_AWQ_CFG), run)
mtq.fold_weight(quantized)
scales = {}
for name, module in quantized.named_modules():
    scale = getattr(getattr(module, "input_quantizer", None), "pre_quant_scale", None)
    if scale is not None:
        scales[name + ".weight"] = scale.float().view(1, -1)
save(model_dir, quantized.state_dict(), out, scales)
