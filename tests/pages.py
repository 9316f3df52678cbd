"""A page of Markdown, taken apart into what its twin in another language must have as well."""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The English pages that have a Chinese twin.
TWINS = {
    "README.md": "README.zh-CN.md",
    "docs/catalog.md": "docs/zh-CN/catalog.md",
    "docs/nightly.md": "docs/zh-CN/nightly.md",
    "docs/notify.md": "docs/zh-CN/notify.md",
    "docs/operations.md": "docs/zh-CN/operations.md",
    "docs/protocol.md": "docs/zh-CN/protocol.md",
    "deploy/README.md": "docs/zh-CN/deploy.md",
}
#: How a comment begins, by the kind of a code block. Kinds that are not named have no comments.
COMMENT_MARKS = dict.fromkeys(("sh", "python", "toml", "yaml", "nginx"), "#") | dict.fromkeys(
    ("js", "java", "php"), "//"
)
#: What a program says. It may be in the page's own language.
OUTPUT = "text"

CODE = re.compile(r"``.+?``|`[^`]+`")
FIGURE = re.compile(r"\d+(?:[.,:]\d+)*")
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")


@dataclass
class Section:
    """A heading with all that stands below it, up to the next heading."""

    level: int
    title: str
    blocks: list[tuple[str, str]] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)

    @property
    def list_items(self):
        return [line for line in self.prose if re.match(r" *(?:-|\d+\.) ", line)]

    @property
    def text(self):
        """The prose on one line, without the blocks and the tables."""
        return " ".join(" ".join(self.prose).split())

    @property
    def paragraphs(self):
        return [" ".join(part.split()) for part in "\n".join(self.prose).split("\n\n") if part.strip()]

    @property
    def text_with_tables(self):
        return "\n".join([self.text, *(cell for table in self.tables for row in table for cell in row)])

    @property
    def bold_parts(self):
        return re.findall(r"\*\*.+?\*\*", self.text_with_tables)

    @property
    def links(self):
        return [target or image for target, image in LINK.findall(self.text_with_tables)]


def sections(text):
    """Take a page apart; the line that links to its twin is left out."""
    found = [Section(0, "")]
    lines = iter(text.splitlines())
    in_table = False
    for line in lines:
        fence = re.match(r" *```(\w*)$", line)
        heading = re.match(r"(#+) (.*)$", line)
        if fence:
            body = []
            for inner in lines:
                if inner.strip() == "```":
                    break
                body.append(inner)
            found[-1].blocks.append((fence[1], "\n".join(body)))
        elif heading:
            found.append(Section(len(heading[1]), heading[2]))
        elif line.startswith("|"):
            if not in_table:
                found[-1].tables.append([])
            found[-1].tables[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif not is_language_line(line):
            found[-1].prose.append(line)
        in_table = line.startswith("|")
    return found[1:] if not found[0].text else found


def is_language_line(line):
    return re.fullmatch(r"English \| \[简体中文\]\(\S+\)|\[English\]\(\S+\) \| 简体中文", line) is not None


def commands(kind, body):
    """A code block without its comments and what stands in line because of them."""
    mark = COMMENT_MARKS.get(kind)
    lines = [re.sub(rf"(^|\s+){mark}\s.*$", "", line) if mark else line for line in body.splitlines()]
    return [line.rstrip() for line in lines if line.strip()]


def codes(text):
    """What is written as code."""
    return {" ".join(code.split()) for code in CODE.findall(text)}


def figures(text):
    """The numbers that are written in digits, apart from those in code and in links."""
    plain = LINK.sub(" ", CODE.sub(" ", text))
    return {figure.replace(",", "") for figure in FIGURE.findall(plain)}


def slug(title):
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@cache
def anchors(path):
    """The anchors of a page's headings, in their order."""
    return [slug(section.title) for section in sections((ROOT / path).read_text("utf-8"))]


def target(link, page):
    """Where a link of a page leads: a file under the project's folder and the number of the heading there.

    A Chinese page counts as its English twin. A link into the web stays as it is.
    """
    if "://" in link:
        return link
    path, _, anchor = link.partition("#")
    file = str(((ROOT / page).parent / path).resolve().relative_to(ROOT)) if path else page
    number = anchors(file).index(anchor) if anchor else None
    return {chinese: english for english, chinese in TWINS.items()}.get(file, file), number
