"""Write the lists of config.yaml that come from the catalogue of events; `--check` only tells whether they differ."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from otel_intel.events import RESOURCE_KEYS, SPAN_KEYS, allowed_keys

CONFIG = Path(__file__).with_name("config.yaml")


def lists() -> dict[str, list[str]]:
    """Return the lines of each generated list."""
    record_keys = ("otel.event.name", *allowed_keys())
    resource = [_scalar("resource.attributes", key) for key in RESOURCE_KEYS]
    return {
        "scalars of logs": [*resource, *(_scalar("log.attributes", key) for key in record_keys)],
        "logs": [f"- {key}" for key in (*RESOURCE_KEYS, *record_keys)],
        "scalars of traces": [*resource, *(_scalar("span.attributes", key) for key in SPAN_KEYS)],
        "traces": [f"- {key}" for key in (*RESOURCE_KEYS, *SPAN_KEYS)],
    }


def _scalar(attributes: str, key: str) -> str:
    path = f'{attributes}["{key}"]'
    kinds = " or ".join(f"{kind}({path})" for kind in ("IsString", "IsInt", "IsDouble", "IsBool"))
    return f'- set({path}, "") where {path} != nil and not ({kinds})'


def generated(text: str) -> str:
    """Return the configuration with its lists as the catalogue wants them."""
    for name, lines in lists().items():
        block = re.compile(rf"^( *)# generated: {name}\n.*?^ *# /generated$", re.MULTILINE | re.DOTALL)
        body = "".join(f"\\g<1>{line}\n" for line in lines)
        text, found = block.subn(rf"\g<1># generated: {name}\n{body}\g<1># /generated", text)
        if found != 1:
            sys.exit(f"config.yaml holds {found} lists marked '# generated: {name}' instead of one.")
    return text


def main() -> None:
    """Rewrite the file, or with --check exit with 1 where it is stale."""
    before = CONFIG.read_text(encoding="utf-8")
    after = generated(before)
    if "--check" in sys.argv:
        sys.exit("collector/config.yaml is stale: run `make collector-config`." if before != after else 0)
    CONFIG.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
