"""Run the unit and Django tests on every newer interpreter that this machine has, with newer Django releases.

Started by ``make test-matrix``; says what it skips.
"""

from __future__ import annotations

import shutil
import subprocess
import tomllib
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


def run(python: str, version: str, name: str, django: str) -> None:
    """Test one combination in a virtual environment of its own."""
    environment = ROOT / f".venv-{version}-django-{name}"
    bin_python = str(environment / "bin" / "python")
    if not Path(bin_python).exists():
        subprocess.run([python, "-m", "venv", str(environment)], check=True)
    pip = [bin_python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    subprocess.run([*pip, "--editable", ".", "--group", "test", django], check=True, cwd=ROOT)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    subprocess.run([*pip, "--no-deps", *project["optional-dependencies"]["embedded"]], check=True)
    print(f"▸ Python {version}, {django}", flush=True)
    subprocess.run([bin_python, "-m", "pytest", "-q", "tests/unit"], check=True, cwd=ROOT)


def main() -> None:
    """Run all combinations."""
    for version in VERSIONS:
        python = interpreter(version)
        if python is None:
            print(f"▸ SKIPPED: no Python {version} on this machine", flush=True)
            continue
        for name, django in DJANGOS.items():
            run(python, version, name, django)


if __name__ == "__main__":
    main()
