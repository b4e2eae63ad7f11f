"""Text to train on in the languages of what is measured: translated manuals, without the pages that hold anything of it.

  apt-get download libreoffice-help-{de,en-us,es,fi,fr,hi,ja,ru,vi,zh-cn} gnome-user-docs debian-handbook
  for package in *.deb; do dpkg-deb -x "$package" unpacked; done
  python3 tools/make_help_text.py held_out.jsonl help.jsonl unpacked/usr/share/libreoffice/help unpacked/usr/share/help \\
      unpacked/usr/share/doc/debian-handbook/html

Each folder holds one by language (fi, de-DE, zh_CN; C is English), of which those are read whose language is a group of
HELD_OUT; beneath it the same pages in each: HTML or Mallard's XML. A page becomes a document, {"text": ..., "group": ...}, a
paragraph a line. A page of which one language shares a line of 40 characters with the held-out documents is left out in all of
them; `vernier finetune --drop-shared` then looks for shared runs of tokens as well.
"""

import collections
import html
import json
import re
import sys
from pathlib import Path

LONG_LINE = 40
SHORTEST_PAGE = 200  # characters
BLOCK_ENDS = re.compile(r"<br\s*/?>|</(?:p|h[1-6]|pre|li|tr|dt|dd|div|title|desc|item|screen|code)>", re.IGNORECASE)
# What a page says of itself and where else to go.
APART = re.compile(r"<script.*?</script>|<style.*?</style>|<head.*?</head>|<nav.*?</nav>|<!--.*?-->|<credit.*?</credit>|"
                   r"<mal:credit.*?</mal:credit>|<ul class=\"docnav\".*?</ul>|<years>.*?</years>", re.DOTALL | re.IGNORECASE)


def plain(line):
    return re.sub(r"\s+", " ", line).strip()


def lines_of(page):
    text = page.read_text(encoding="utf-8", errors="ignore")
    begin = text.find('id="DisplayArea"')  # of LibreOffice: menus stand before it, and a footer behind
    if begin >= 0:
        text = text[text.find(">", begin) + 1 :]
    text = APART.sub("", text.split("<footer", 1)[0])
    if page.suffix == ".page":  # of Mallard: its lines break within paragraphs
        text = re.sub(r"\s*\n\s*", " ", text)
    text = html.unescape(re.sub(r"<[^>]+>", "", BLOCK_ENDS.sub("\n", text)))
    return [line for line in map(plain, text.split("\n")) if line]


def group_of(folder, groups):
    """The group whose language the folder's name begins with, or None."""
    language = "en" if folder == "C" else folder.replace("_", "-")
    if language in groups:
        return language
    same = [group for group in groups if group.split("-")[0] == language.split("-")[0]]
    # Chinese is written in two ways.
    return same[0] if len(same) == 1 and not language.startswith("zh") else None


def pages_of(root, groups):
    pages = collections.defaultdict(dict)
    for folder in sorted(path for path in Path(root).iterdir() if path.is_dir()):
        group = group_of(folder.name, groups)
        if group is None:
            continue
        for page in sorted(path for path in folder.rglob("*") if path.suffix in (".html", ".page")):
            pages[page.relative_to(folder)].setdefault(group, lines_of(page))
    return pages


def main(held_out, out, *roots):
    documents = [json.loads(line) for line in Path(held_out).read_text(encoding="utf-8").splitlines()]
    groups = {document["group"] for document in documents}
    held = {line for document in documents for line in map(plain, document["text"].split("\n")) if len(line) >= LONG_LINE}
    with open(out, "w", encoding="utf-8") as file:
        for root in roots:
            pages = pages_of(root, groups)
            sizes = collections.Counter()
            left_out = 0
            for name in sorted(pages):
                if any(line in held for lines in pages[name].values() for line in lines):
                    left_out += 1
                    continue
                for group, lines in pages[name].items():
                    text = "\n".join(lines)
                    if len(text) < SHORTEST_PAGE:
                        continue
                    file.write(json.dumps({"text": text, "group": group}, ensure_ascii=False) + "\n")
                    sizes[group] += len(text.encode())
            print(f"{root}: {len(pages)} pages, {left_out} left out; {sum(sizes.values())} bytes:", dict(sizes))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
