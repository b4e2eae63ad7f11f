"""llm-compressor's GPTQ, W4A16 (groups of 128, symmetric)."""

from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import GPTQModifier

from common import arguments, load, save, windows

model_dir, calibration, out = arguments()
model, tokenizer = load(model_dir)
text = windows(calibration)
dataset = Dataset.from_dict({"input_ids": [ids.tolist() for ids in text],
                             "attention_mask": [[1] * len(ids) for ids in text]})
oneshot(model=model, tokenizer=tokenizer, dataset=dataset,
        recipe=[GPTQModifier(targets="Linear", scheme="W4A16", ignore=["lm_head"])], max_seq_length=512,
        num_calibration_samples=len(text))
save(model_dir, dict(model.state_dict()), out)
