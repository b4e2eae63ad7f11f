"""Text to train on in the languages of what is measured: translated manuals, without what they hold of it.

  apt-get download libreoffice-help-{de,en-us,es,fi,fr,hi,ja,ru,vi,zh-cn} gnome-user-docs debian-handbook
  for package in *.deb; do dpkg-deb -x "$package" unpacked; done
  python3 tools/make_help_text.py held_out.jsonl help.jsonl unpacked/usr/share/libreoffice/help \\
      --newer newer/usr/share/libreoffice/help --beside unpacked/usr/share/help unpacked/usr/share/doc/debian-handbook/html

Each folder holds one by language (fi, de-DE, zh_CN; C is English), of which those are read whose language is a group of
HELD_OUT; beneath it the same pages in each: HTML or Mallard's XML. A page becomes a document, {"text": ..., "group": ...}, a
paragraph a line. Pages that are mostly held out in any language are left out in all of them, and of the others every line of
40 characters that held-out documents have; `vernier finetune --drop-shared` then looks for shared runs of tokens as well.

--newer: later versions of the same manuals, of which only lines are taken that no page of the same language had before.
--beside: manuals of something else than what is measured, whose groups are "manuals-de" ...: for --oversample to draw them
more seldom.
"""

import argparse
import collections
import html
import json
import re
from pathlib import Path

LONG_LINE = 40
SHORTEST_NEW_LINE = 12
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


class Writer:
    def __init__(self, held_out, out):
        documents = [json.loads(line) for line in Path(held_out).read_text(encoding="utf-8").splitlines()]
        self.groups = {document["group"] for document in documents}
        self.held = {line for document in documents for line in map(plain, document["text"].split("\n"))}
        self.had = collections.defaultdict(set)  # lines by group
        self.out = out

    def mostly_held(self, lines):
        return 2 * sum(len(line) for line in lines if line in self.held) >= sum(map(len, lines)) > 0

    def add(self, root, prefix="", only_new=False):
        pages = pages_of(root, self.groups)
        sizes = collections.Counter()
        left_out = 0
        for name in sorted(pages):
            if any(map(self.mostly_held, pages[name].values())):
                left_out += 1
                for group, lines in pages[name].items():
                    self.had[group].update(lines)
                continue
            for group, lines in pages[name].items():
                kept = [line for line in lines if len(line) < LONG_LINE or line not in self.held]
                if only_new:
                    new = (line for line in kept if len(line) >= SHORTEST_NEW_LINE and line not in self.had[group])
                    kept = list(dict.fromkeys(new))
                self.had[group].update(lines)
                text = "\n".join(kept)
                if len(text) < SHORTEST_PAGE:
                    continue
                self.out.write(json.dumps({"text": text, "group": prefix + group}, ensure_ascii=False) + "\n")
                sizes[prefix + group] += len(text.encode())
        print(f"{root}: {len(pages)} pages, {left_out} left out; {sum(sizes.values())} bytes:", dict(sizes))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("held_out")
    parser.add_argument("out")
    parser.add_argument("roots", nargs="+", metavar="ROOT")
    parser.add_argument("--newer", nargs="+", default=[], metavar="ROOT")
    parser.add_argument("--beside", nargs="+", default=[], metavar="ROOT")
    arguments = parser.parse_args()
    with open(arguments.out, "w", encoding="utf-8") as out:
        writer = Writer(arguments.held_out, out)
        for root in arguments.roots:
            writer.add(root)
        for root in arguments.newer:
            writer.add(root, only_new=True)
        for root in arguments.beside:
            writer.add(root, prefix="manuals-")


if __name__ == "__main__":
    main()
