"""Building the collector: once for each manifest, with a clear message if it fails."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector.process import FOLDER

SCRIPT = FOLDER / "build.py"


def _run(cache: Path, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PATH": f"{path}:/bin"}
    command = [sys.executable, str(SCRIPT)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own cache for the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


GO_WITHOUT_NETWORK = """#!/bin/sh
[ "$1" = version ] && echo "go version go1.26.0 linux/amd64" && exit
echo "no network" >&2
exit 1
"""


def test_built_binary_is_used_again(cache: Path, tmp_path: Path) -> None:
    binary = Path(runpy.run_path(str(SCRIPT))["cached_binary"]())
    assert binary.is_relative_to(cache)
    binary.parent.mkdir(parents=True)
    binary.touch()
    result = _run(cache, tmp_path)  # no go on the PATH, and no time to get one
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, str(binary))


def test_another_manifest_is_another_binary(cache: Path, tmp_path: Path) -> None:
    changed = tmp_path / "build.py"
    changed.write_text(SCRIPT.read_text())
    before = runpy.run_path(str(SCRIPT))
    manifest = (FOLDER / "builder.yaml").read_text()
    (tmp_path / "builder.yaml").write_text(manifest.replace(before["pinned_version"](), "0.0.1"))
    after = runpy.run_path(str(changed))
    assert after["pinned_version"]() == "0.0.1"
    assert after["cached_binary"]() != before["cached_binary"]()


def test_failed_build_says_why_and_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text(GO_WITHOUT_NETWORK)
    go.chmod(0o755)
    result = _run(cache, tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "no network" in result.stderr
    assert not [path for path in cache.rglob("otelcol-intel*") if path.is_file()]
