"""Lets Markdown keep its links of the repository, where pages of the site are files of other folders."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from sphinx.application import Sphinx

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = {
    "README.md": "index",
    "CHANGELOG.md": "project/changelog",
    "CONTRIBUTING.md": "project/contributing",
    "SECURITY.md": "explanation/security",
    "clickhouse/README.md": "reference/tables",
    "collector/README.md": "reference/collector",
    "grafana/README.md": "reference/grafana",
    "grafana/RUNBOOK.md": "how-to/alerts",
}
"""The page of the site that shows a file of the repository."""

_LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:|#|/)([^)#\s]+)(#[^)]*)?\)")


def rewrite(text: str, folder: Path) -> str:
    """Turn the relative links of a file in a folder into links of the site; a file that has no page stays as text."""

    def link(found: re.Match[str]) -> str:
        title, target, anchor = found.groups(default="")
        path = Path(os.path.normpath(folder / target)).relative_to(ROOT)
        if not (ROOT / path).exists():
            return found[0]  # Sphinx warns of it
        if path.parts[0] == "docs":
            return f"[{title}](/{path.relative_to('docs')}{anchor})"
        return f"[{title}](/{PAGES[str(path)]}.md{anchor})" if str(path) in PAGES else title

    return _LINK.sub(link, text)


def _read_page(app: Sphinx, docname: str, content: list[str]) -> None:
    content[0] = rewrite(content[0], Path(app.srcdir, docname).parent)


def _read_include(app: Sphinx, path: Path, parent: str, content: list[str]) -> None:
    content[0] = rewrite(content[0], Path(os.path.normpath(app.srcdir / path)).parent)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _read_page)
    app.connect("include-read", _read_include)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
