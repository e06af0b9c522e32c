"""Run the tests with coverage in every process, print the table, and fail if the coverage is too low.

Started by ``make coverage``; takes pytest's arguments.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / ".coverage-data"
WHOLE = 95.0  # per cent, lines and branches
FILE = 85.0


def missing(report: Path) -> list[str]:
    """Return the files, and the total, that are below their limit."""
    found = json.loads(report.read_text(encoding="utf-8"))
    shares = {name: measured["summary"]["percent_covered"] for name, measured in found["files"].items()}
    below = [f"{name}: {share:.1f} % is below {FILE:g} %" for name, share in shares.items() if share < FILE]
    if found["totals"]["percent_covered"] < WHOLE:
        below.append(f"altogether: {found['totals']['percent_covered']:.1f} % is below {WHOLE:g} %")
    return below


def main(arguments: list[str]) -> int:
    """Return the exit code: that of the tests, or 1 if the coverage is too low."""
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    with tempfile.TemporaryDirectory() as temporary:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-X", "dev", "-m", "pytest", "-q", "-n", "auto", f"--basetemp={temporary}/tests"]
        tests = subprocess.run([*command, *arguments], cwd=ROOT, env=environment, check=False).returncode
        measured = [*DATA.glob("measured.*"), *Path(temporary).rglob("logs/measured.*")]
        tool = [sys.executable, "-m", "coverage"]
        data, report = f"--data-file={DATA / 'all'}", DATA / "report.json"
        subprocess.run([*tool, "combine", "--quiet", data, *map(str, measured)], cwd=ROOT, check=True)
    subprocess.run([*tool, "report", data], cwd=ROOT, check=True)
    subprocess.run([*tool, "json", "--quiet", data, "-o", str(report)], cwd=ROOT, check=True)
    below = missing(report)
    for line in below:
        print(line)
    return tests or bool(below)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
