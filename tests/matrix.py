"""Run the unit and Django tests on every newer interpreter that this machine has, with newer Django releases.

Started by ``make test-matrix``; says what it skips.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.12", "3.13", "3.14")
DJANGOS = {"6.0": "Django>=6.0,<6.1", "current": "Django"}


def interpreter(version: str) -> str | None:
    """Find an interpreter on the PATH or beside pyenv's others, and make sure that it runs."""
    candidates = [shutil.which(f"python{version}")]
    candidates += [str(path) for path in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))]
    for candidate in candidates:
        check = [candidate or "", "-c", f"import sys; sys.exit('{version}' != '%d.%d' % sys.version_info[:2])"]
        if candidate and subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def environment(version: str, name: str) -> Path:
    """Return the path of a combination's virtual environment."""
    return ROOT / f".venv-{version}-django-{name}"


def install(python: str, version: str, name: str) -> None:
    """Create a combination's virtual environment, or update it to pyproject.toml."""
    directory = environment(version, name)
    stamp, project = directory / "test.stamp", ROOT / "pyproject.toml"
    if stamp.exists() and stamp.stat().st_mtime >= project.stat().st_mtime:
        return
    bin_python = str(directory / "bin" / "python")
    if not Path(bin_python).exists():
        subprocess.run([python, "-m", "venv", str(directory)], check=True)
    pip = [bin_python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    subprocess.run([*pip, "--editable", ".", "--group", "test", DJANGOS[name]], check=True, cwd=ROOT)
    embedded = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]["embedded"]
    subprocess.run([*pip, "--no-deps", *embedded], check=True)
    stamp.touch()


def main() -> None:
    """Run all combinations one after the other; install two at a time, because pip waits most of the time."""
    found = {version: interpreter(version) for version in VERSIONS}
    combinations = [(python, version, name) for version, python in found.items() if python for name in DJANGOS]
    with ThreadPoolExecutor(2) as pool:
        installed = [pool.submit(install, *combination) for combination in combinations]
        for version in (version for version, python in found.items() if python is None):
            print(f"▸ SKIPPED: no Python {version} on this machine", flush=True)
        for (_, version, name), ready in zip(combinations, installed, strict=True):
            ready.result()
            print(f"▸ Python {version}, {DJANGOS[name]}", flush=True)
            bin_python = str(environment(version, name) / "bin" / "python")
            subprocess.run([bin_python, "-m", "pytest", "-q", "-n", "auto", "tests/unit"], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
