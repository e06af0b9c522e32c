"""deploy/: systemd takes the units, and the backup of the stack can be restored."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from otel_intel.commands.main import main
from tests.docs.markdown import ROOT, read

DEPLOY = ROOT / "deploy"
UNITS = sorted(path.name for path in DEPLOY.iterdir() if path.suffix in (".service", ".timer"))
SERVICE = (DEPLOY / "otel-intel.service").read_text(encoding="utf-8")


def setting(name: str) -> str:
    """Return the value of the server's unit."""
    [value] = re.findall(rf"^{name}=(.*)$", SERVICE, re.MULTILINE)
    return str(value)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is missing; install it with: apt-get install systemd",
)
def test_systemd_takes_the_units_and_the_drop_in(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in UNITS:
        # The programs are not installed here; systemd would complain about that first.
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={program}", (DEPLOY / name).read_text(), flags=re.MULTILINE)
        (tmp_path / name).write_text(text)
    (tmp_path / "shop.service").write_text(f"[Service]\nExecStart={program}\n")
    (tmp_path / "shop.service.d").mkdir()
    shutil.copy(DEPLOY / "application.conf", tmp_path / "shop.service.d" / "otel-intel.conf")
    for name in [*UNITS, "shop.service"]:
        checked = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / name],
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
            capture_output=True,
            text=True,
            check=False,
        )
        # It also loads, and may complain about, other units of this machine.
        said = [line for line in checked.stderr.splitlines() if str(tmp_path) in line or name in line]
        assert (checked.returncode, said) == (0, []), checked.stderr


def test_the_unit_calls_up_with_options_that_exist_and_waits_long_enough() -> None:
    program, command, *arguments = shlex.split(setting("ExecStart"))
    assert (Path(program).name, command) == ("otel-intel", "up")
    help_text = CliRunner().invoke(main, ["up", "--help"]).output
    assert all(argument in help_text for argument in arguments if argument.startswith("--"))
    assert "--detach" not in arguments
    assert setting("Type") == "notify"
    assert int(setting("TimeoutStopSec")) > 2 * 60  # the Collector and ClickHouse, one after the other
    assert setting("Restart") == "on-failure"
    written = arguments[arguments.index("--env-file") + 1].replace("%S", "/var/lib")
    assert f"EnvironmentFile=-{written}" in (DEPLOY / "application.conf").read_text()


@pytest.mark.parametrize("option", ["SystemCallFilter", "MemoryDenyWriteExecute", "ProcSubset"])
def test_the_unit_leaves_out_what_would_break_the_servers_own_sandbox(option: str) -> None:
    assert not re.search(rf"^{option}=", SERVICE, re.MULTILINE)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A checkout whose ``docker`` stands for Compose: it runs the container's tar on a folder, and notes each call."""
    checkout = tmp_path / "checkout"
    shutil.copytree(DEPLOY, checkout / "deploy")
    (checkout / ".env").write_text("INTEL_ADMIN_PASSWORD=secret\n")
    (checkout / "volume").mkdir()
    (checkout / "volume" / "part").write_text("events")
    (tmp_path / "bin").mkdir()
    docker = tmp_path / "bin" / "docker"
    docker.write_text(
        f"""#!/bin/sh
echo "$*" >>{checkout}/calls
case "$*" in
  "compose run --rm -T --no-deps --entrypoint tar clickhouse "*)
    shift 8
    [ ! -e {checkout}/broken ] || exit 1
    exec tar -C {checkout}/volume $(echo "$*" | sed 's#-C /var/lib/clickhouse##') ;;
esac
"""
    )
    docker.chmod(0o755)
    return checkout


def sh(stack: Path, script: str) -> subprocess.CompletedProcess[str]:
    path = f"{stack.parent / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", script], cwd=stack, env={"PATH": path}, capture_output=True, text=True, check=False
    )


def calls(stack: Path) -> list[str]:
    return [call.split()[1] for call in (stack / "calls").read_text().splitlines()]


def test_a_backup_is_private_and_can_be_restored_as_the_guide_says(stack: Path) -> None:
    folder = stack.parent / "backups"
    made = sh(stack, f"umask 022; deploy/backup.sh {folder}")
    assert made.returncode == 0, made.stderr
    assert calls(stack) == ["stop", "run", "start"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    data, environment = sorted(folder.iterdir(), key=lambda path: path.suffix, reverse=True)
    assert [path.suffix for path in (data, environment)] == [".tgz", ".env"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (data, environment))
    assert environment.read_text() == (stack / ".env").read_text()

    (stack / "volume" / "part").unlink()
    [restore] = re.findall(r"^docker compose run .*-xzf.*$", read("docs/operations.md"), re.MULTILINE)
    restored = sh(stack, restore.replace("telemetry.tgz", str(data)))
    assert restored.returncode == 0, restored.stderr
    assert (stack / "volume" / "part").read_text() == "events"


def test_a_backup_that_fails_leaves_the_older_ones_and_starts_clickhouse(stack: Path) -> None:
    folder = stack.parent / "backups"
    folder.mkdir()
    older = [folder / f"telemetry-2026010{day}T000000Z.tgz" for day in (1, 2, 3)]
    for path in older:
        path.touch()
        path.with_suffix(".env").touch()
    (stack / "broken").touch()
    assert sh(stack, f"deploy/backup.sh {folder} 2").returncode == 1
    assert calls(stack) == ["stop", "run", "start"]
    assert sorted(folder.glob("*.tgz*")) == older
    (stack / "broken").unlink()
    assert sh(stack, f"deploy/backup.sh {folder} 2").returncode == 0
    left = sorted(folder.glob("*.tgz"))
    assert left[0] == older[-1]
    assert len(left) == 2
    assert sorted(folder.iterdir()) == sorted([*left, *(path.with_suffix(".env") for path in left)])


def test_a_backup_needs_an_absolute_folder(stack: Path) -> None:
    refused = sh(stack, "deploy/backup.sh backups")
    assert (refused.returncode, (stack / "calls").exists()) == (2, False)
    assert "usage:" in refused.stderr
