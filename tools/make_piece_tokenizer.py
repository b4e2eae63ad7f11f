"""Makes tests/fixtures/tokenizers/pieces: a tokenizer.json of SentencePiece's pairs, as Llama 2 has it, and Hugging Face's ids.

  pip install tokenizers==0.23.3
  python3 tools/make_piece_tokenizer.py             # both
  python3 tools/make_piece_tokenizer.py metaspace   # the ids with Metaspace in place of the normalizer, of the tokenizer that is there

Pieces are learned from this repository's README and the texts of the other tokenizers' fixtures. Vocabulary and merges are then laid
out as converters of SentencePiece models do: bytes first, and a merge for each way to put a token together. Another README gives
other pieces, and golden ids to go with them.
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, trainers

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests/fixtures/tokenizers"
SPACE = "\u2581"


def learned_pieces(texts):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", SPACE)
    # Words apart, so that no piece spans two.
    words = [SPACE + word for text in texts for word in text.split()]
    tokenizer.train_from_iterator(words, trainers.BpeTrainer(vocab_size=600, special_tokens=["<unk>"], show_progress=False))
    trained = json.loads(tokenizer.to_str())["model"]
    joined = ["".join(pair) for pair in trained["merges"]]
    characters = sorted(piece for piece in trained["vocab"] if len(piece) == 1)
    return list(dict.fromkeys(joined)) + characters


def main():
    texts = [example["text"] for example in json.loads((FIXTURES / "gpt2/golden.json").read_text())]
    pieces = learned_pieces([(ROOT / "README.md").read_text()[:20000], *texts])
    special = ["<unk>", "<s>", "</s>"]
    vocabulary = {token: i for i, token in enumerate(special + [f"<0x{byte:02X}>" for byte in range(256)] + pieces)}
    merges = []
    for piece in pieces:
        ways = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        ways = [way for way in ways if way[0] in vocabulary and way[1] in vocabulary]
        merges += sorted(ways, key=lambda way: (vocabulary[way[0]], vocabulary[way[1]]))
    steps = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE},
                                                 {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]}
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    whole = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                          "special": True} for i, token in enumerate(special)],
        "normalizer": steps, "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing", "single": [begin, {"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [begin, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                                                     {"type": "ByteFallback"}, {"type": "Fuse"},
                                                     {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": True, "byte_fallback": True, "vocab": vocabulary, "merges": merges},
    }
    folder = FIXTURES / "pieces"
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")))
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    golden = []
    for text in [*texts, "a</s>b", "</s> two  spaces</s>", "<unk><s>", "aaaaaaa eeeee", SPACE]:
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        golden.append({"text": text, "ids": tokenizer.encode(text).ids, "ids_no_special": plain,
                       "decoded": tokenizer.decode(plain, skip_special_tokens=False)})
    (folder / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False))
    print(len(vocabulary), "tokens,", len(merges), "merges,", len(golden), "texts")


def metaspace():
    whole = json.loads((FIXTURES / "pieces/tokenizer.json").read_text())
    texts = [example["text"] for example in json.loads((FIXTURES / "pieces/golden.json").read_text())]
    texts += ["</s>one", "</s> one", " one", "  one", "a</s> b</s>c", SPACE + "one", "\none"]
    golden = {}
    for scheme in ["always", "first", "never"]:
        whole["normalizer"] = None
        whole["pre_tokenizer"] = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": False}
        tokenizer = Tokenizer.from_str(json.dumps(whole))
        golden[scheme] = [{"text": text, "ids": tokenizer.encode(text).ids} for text in texts]
    (FIXTURES / "pieces/golden_metaspace.json").write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")))


if "metaspace" not in sys.argv:
    main()
metaspace()
