"""Tiny random vision models with golden outputs from Hugging Face transformers (float32, CPU, eager attention).

    pip install torch transformers safetensors
    python tools/make_vision_fixtures.py tests/fixtures/vision_models vit_patch4 deit

Each folder holds config.json, model.safetensors and golden.safetensors: pixel_values, labels, loss (cross entropy of the
labels) and grad_norm.NAME for every parameter; of classifiers logits, of CLIP input_ids, logits_per_image, image_embeds and
text_embeds. A folder that has weights keeps them, and the inputs of its golden file; only the outputs are made anew.
"""
import os
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import (CLIPConfig, CLIPModel, DeiTConfig, DeiTForImageClassification,
                          DeiTForImageClassificationWithTeacher, ViTConfig, ViTForImageClassification)


def classifier(**changes):
    base = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=6, intermediate_size=80, image_size=16,
                patch_size=4, num_channels=3, initializer_range=0.15, num_labels=7)
    base.update(changes)
    return base


def vit_patch4():  # no biases of queries, keys and values, grey images, another activation and epsilon
    return ViTForImageClassification, ViTConfig(**classifier(qkv_bias=False, num_channels=1, hidden_act='quick_gelu',
                                                            layer_norm_eps=1e-5))


def deit():  # the distillation token is in the sequence, and no classifier reads it
    return DeiTForImageClassification, DeiTConfig(**classifier(num_attention_heads=3, image_size=24, patch_size=8))


def deit_distilled():  # the mean of two classifiers
    return DeiTForImageClassificationWithTeacher, DeiTConfig(**classifier(num_labels=5, hidden_act='gelu'))


def clip_gelu():  # the end of a text is its largest id, as in the oldest files
    shared = dict(hidden_act='gelu', projection_dim=24, initializer_range=0.15)
    text = dict(vocab_size=90, hidden_size=32, intermediate_size=56, num_hidden_layers=2, num_attention_heads=2,
                max_position_embeddings=16, eos_token_id=2, bos_token_id=0, pad_token_id=1, **shared)
    vision = dict(hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=3, image_size=16,
                  patch_size=4, **shared)
    return CLIPModel, CLIPConfig(text_config=text, vision_config=vision, projection_dim=24, initializer_factor=4.0)


MODELS = {'vit': (ViTForImageClassification, None), 'clip': (CLIPModel, None), 'vit_patch4': vit_patch4, 'deit': deit,
          'deit_distilled': deit_distilled, 'clip_gelu': clip_gelu}


def make_model(name, path):
    if os.path.exists(os.path.join(path, 'model.safetensors')):
        made = MODELS[name]
        cls = made[0] if isinstance(made, tuple) else made()[0]
        return cls.from_pretrained(path, attn_implementation='eager').float().eval()
    torch.manual_seed(sum(map(ord, name)))
    cls, config = MODELS[name]()
    config._attn_implementation = 'eager'
    model = cls(config).float().eval()
    with torch.no_grad():  # norms, biases and tokens that are not trivial
        for parameter_name, parameter in model.named_parameters():
            if 'norm' in parameter_name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            elif parameter_name.endswith(('bias', '_token')):
                parameter.add_(torch.randn_like(parameter) * 0.05)
            elif 'position' in parameter_name:
                parameter.add_(torch.randn_like(parameter) * 0.15)
    model.save_pretrained(path)
    return model


def text_ids(config, count, time):
    """Texts of several lengths: begin, words, end, padding."""
    ids = torch.full((count, time), config.pad_token_id)
    for row in range(count):
        length = time - 2 * row
        ids[row, :length] = torch.randint(3, config.vocab_size - 1, (length,))
        ids[row, 0] = config.bos_token_id
        ids[row, length - 1] = config.vocab_size - 1 if config.eos_token_id == 2 else config.eos_token_id
    return ids


def inputs_of(model, path):
    golden = os.path.join(path, 'golden.safetensors')
    if os.path.exists(golden):
        kept = load_file(golden)
        tensors = {key: kept[key] for key in ('pixel_values', 'labels', 'input_ids', 'attention_mask') if key in kept}
    else:
        vision = getattr(model.config, 'vision_config', model.config)
        shape = (4, vision.num_channels, vision.image_size, vision.image_size)
        tensors = {'pixel_values': torch.randn(shape)}
        if isinstance(model, CLIPModel):
            tensors['input_ids'] = text_ids(model.config.text_config, 3, 10)
    if 'labels' not in tensors:
        classes = len(tensors['input_ids']) if 'input_ids' in tensors else model.config.num_labels
        tensors['labels'] = torch.arange(4) % classes
    return tensors


def make(folder, name):
    path = os.path.join(folder, name)
    model = make_model(name, path)
    tensors = inputs_of(model, path)
    output = model(**{key: value for key, value in tensors.items() if key != 'labels'})
    kept = ('logits',) if 'logits' in output else ('logits_per_image', 'image_embeds', 'text_embeds')
    loss = torch.nn.functional.cross_entropy(output[kept[0]], tensors['labels'])
    loss.backward()
    tensors['loss'] = loss.detach().reshape(1)
    for key in kept:
        tensors[key] = output[key].detach().contiguous()
    for parameter_name, parameter in model.named_parameters():
        if parameter.grad is not None:
            tensors['grad_norm.' + parameter_name] = parameter.grad.norm().reshape(1)
    save_file(tensors, os.path.join(path, 'golden.safetensors'))
    print(name, float(loss.detach()))


if __name__ == '__main__':
    for which in sys.argv[2:] or MODELS:
        make(sys.argv[1], which)
