"""Text to train on in ten languages: LibreOffice's help, without the pages that hold anything of what is measured.

  apt-get download libreoffice-help-{de,en-us,es,fi,fr,hi,ja,ru,vi,zh-cn}
  for package in libreoffice-help-*.deb; do dpkg-deb -x "$package" unpacked; done
  python3 tools/make_help_text.py unpacked/usr/share/libreoffice/help held_out.jsonl help.jsonl

A page becomes a document, {"text": ..., "group": LANGUAGE}, a paragraph a line. A page of which one language shares a line of 40
characters with the held-out documents is left out in all of them; `vernier finetune --drop-shared` then looks for shared runs of
tokens as well.
"""

import collections
import html
import json
import re
import sys
from pathlib import Path

LONG_LINE = 40
SHORTEST_PAGE = 200  # characters
BLOCK_ENDS = re.compile(r"<br\s*/?>|</(?:p|h[1-6]|pre|li|tr|dt|dd|div)>", re.IGNORECASE)


def plain(line):
    return re.sub(r"\s+", " ", line).strip()


def lines_of(page):
    text = page.read_text(encoding="utf-8")
    begin = text.find('id="DisplayArea"')
    if begin < 0:
        return []
    text = text[text.find(">", begin) + 1 :].split("<footer", 1)[0]
    text = re.sub(r"<script.*?</script>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", "", BLOCK_ENDS.sub("\n", text)))
    return [line for line in map(plain, text.split("\n")) if line]


def main(root, held_out, out):
    held = set()
    for document in map(json.loads, Path(held_out).read_text(encoding="utf-8").splitlines()):
        held.update(line for line in map(plain, document["text"].split("\n")) if len(line) >= LONG_LINE)
    pages = collections.defaultdict(dict)
    for language in sorted(path.name for path in Path(root).iterdir()):
        for page in sorted((Path(root) / language / "text").rglob("*.html")):
            pages[page.relative_to(Path(root) / language)][language] = lines_of(page)
    sizes = collections.Counter()
    left_out = 0
    with open(out, "w", encoding="utf-8") as file:
        for name in sorted(pages):
            if any(line in held for lines in pages[name].values() for line in lines):
                left_out += 1
                continue
            for language, lines in pages[name].items():
                text = "\n".join(lines)
                if len(text) < SHORTEST_PAGE:
                    continue
                file.write(json.dumps({"text": text, "group": language}, ensure_ascii=False) + "\n")
                sizes[language] += len(text.encode())
    print(f"{len(pages)} pages, {left_out} left out; bytes:", dict(sizes), "in all", sum(sizes.values()))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
