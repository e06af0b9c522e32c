"""Code blocks of Markdown files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_BLOCK = re.compile(
    r"^```(?:\{code-block\} )?(\w+)[+\w]*\n((?::[\w-]+:[^\n]*\n)*)\n?(.*?)^```", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its caption ('' without one) and its code."""

    language: str
    caption: str
    code: str
    line: int


def read(path: str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks that name a language, those of the directive code-block included."""
    named = re.findall(r"^```(?:\{code-block\}|\w)", text, re.MULTILINE)
    assert len(named) == len(_BLOCK.findall(text)), "a block is not understood"
    for found in _BLOCK.finditer(text):
        language, options, code = found.groups()
        caption = re.search(r"^:caption: (.+)$", options, re.MULTILINE)
        yield Block(language, caption[1] if caption else "", code, text.count("\n", 0, found.start()) + 1)
