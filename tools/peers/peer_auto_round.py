"""Intel's auto-round (SignRound, arXiv:2309.05516): ITERS steps (200) of 8 windows a layer."""

import os

import torch
from auto_round import AutoRound

from common import GROUP, arguments, load, save, windows
from transformers import AutoModelForCausalLM

model_dir, calibration, out = arguments()
model, tokenizer = load(model_dir)
text = windows(calibration)
batches = [torch.stack(text[i:i + 8]) for i in range(0, len(text), 8)]
dataset = [{"input_ids": ids, "attention_mask": torch.ones_like(ids)} for ids in batches]
rounder = AutoRound(model, tokenizer, bits=4, group_size=GROUP, sym=True, iters=int(os.environ.get("ITERS", "200")),
                    nsamples=len(text), seqlen=512, batch_size=8, dataset=dataset, device_map="cpu")
rounder.quantize_and_save(output_dir=out + ".work", format="fake")
folder = next(path for path, _, files in os.walk(out + ".work") if "config.json" in files)
save(model_dir, AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict(), out)
