"""deploy/: systemd takes the units, and the backup of the stack can be restored."""

from __future__ import annotations

import fcntl
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
from tests.docs.markdown import ROOT, blocks, read

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


def test_a_backup_that_a_boot_makes_up_for_waits_until_the_stack_is_started() -> None:
    backup = (DEPLOY / "otel-intel-backup.service").read_text(encoding="utf-8")
    assert "otel-intel-stack.service" in re.findall(r"^After=(.*)$", backup, re.MULTILINE)[0].split()
    assert {"otel-intel-stack.service", "otel-intel-backup.service"} <= set(UNITS)


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
  "compose run --rm -T --no-deps "*"--entrypoint tar clickhouse "*)
    while [ "$1" != clickhouse ]; do
      if [ "$1" = -v ]; then mounted=${{2%:/mnt}}; fi
      shift
    done
    shift
    [ ! -e {checkout}/broken ] || exit 1
    umask 022 # the container's own
    exec tar -C {checkout}/volume $(echo "$*" | sed "s#-C /var/lib/clickhouse##; s#/mnt#${{mounted-}}#") ;;
  "volume rm "*)
    rm {checkout}/volume/part ;;
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
    noted = stack / "calls"
    return [call.split()[1] for call in noted.read_text().splitlines()] if noted.exists() else []


def backups(folder: Path, *times: str) -> list[Path]:
    """Make older backups, each with its .env; return the archives."""
    folder.mkdir()
    made = [folder / f"telemetry-{time}.tgz" for time in times]
    for path in made:
        path.write_bytes(b"12345" * 1000)
        path.with_suffix(".env").touch()
    return made


def restore(stack: Path, archive: Path) -> subprocess.CompletedProcess[str]:
    """Restore as the guide says."""
    [guide] = [block.code for block in blocks(read("docs/operations.md")) if "docker volume rm" in block.code]
    script, found = re.subn(r"^BACKUP=\S+$", f"BACKUP={archive}", guide, flags=re.MULTILINE)
    assert found == 1
    return sh(stack, script)


def test_a_backup_is_private_and_can_be_restored_as_the_guide_says(stack: Path) -> None:
    folder = stack.parent / "backups"
    made = sh(stack, f"umask 022; deploy/backup.sh {folder}")
    assert made.returncode == 0, made.stderr
    assert made.stdout == ""  # Docker would write it into the container's log as well
    assert calls(stack) == ["stop", "run", "start"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    data, environment = sorted(folder.iterdir(), key=lambda path: path.suffix, reverse=True)
    assert [path.suffix for path in (data, environment)] == [".tgz", ".env"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (data, environment))
    assert environment.read_text() == (stack / ".env").read_text()
    [named] = re.findall(r"^BACKUP=\S+/(telemetry-\w+\.tgz)$", read("docs/operations.md"), re.MULTILINE)
    assert re.sub(r"\d", "0", named) == re.sub(r"\d", "0", data.name)

    (stack / "volume" / "part").write_text("what came later")
    restored = restore(stack, data)
    assert restored.returncode == 0, restored.stderr
    assert (stack / "volume" / "part").read_text() == "events"


def test_restoring_a_torn_archive_leaves_what_is_there(stack: Path) -> None:
    folder = stack.parent / "backups"
    assert sh(stack, f"deploy/backup.sh {folder}").returncode == 0
    [data] = folder.glob("*.tgz")
    data.write_bytes(data.read_bytes()[:-10])
    (stack / "calls").unlink()
    assert restore(stack, data).returncode != 0
    assert calls(stack) == []
    assert (stack / "volume" / "part").read_text() == "events"


def test_a_backup_that_fails_leaves_the_older_ones_and_starts_clickhouse(stack: Path) -> None:
    folder = stack.parent / "backups"
    older = backups(folder, *(f"2026010{day}T000000Z" for day in (1, 2, 3)))
    before = sorted(folder.iterdir())
    (stack / "broken").touch()
    assert sh(stack, f"deploy/backup.sh {folder} 2").returncode == 1
    assert calls(stack) == ["stop", "run", "start"]
    assert sorted(folder.iterdir()) == before
    (stack / "broken").unlink()
    assert sh(stack, f"deploy/backup.sh {folder} 2").returncode == 0
    left = sorted(folder.glob("*.tgz"))
    assert left[0] == older[-1]
    assert len(left) == 2
    assert sorted(folder.iterdir()) == sorted([*left, *(path.with_suffix(".env") for path in left)])


def test_a_backup_deletes_its_own_kind_only_and_never_itself(stack: Path) -> None:
    folder = stack.parent / "backups"
    of_a_wrong_clock, _ = backups(folder, "20990101T000000Z", "20260101T000000Z")
    others = [folder / name for name in ("telemetry-manual.tgz", "telemetry-2026-01-01Z.tgz", "telemetry-zZ.part")]
    for path in others:
        path.touch()
    (folder / "telemetry-20260102T000000Z.part").touch()  # of a run that was killed
    (folder / "telemetry-20260102T000000Z.env").touch()
    assert sh(stack, f"deploy/backup.sh {folder} 2").returncode == 0
    [new] = set(folder.glob("*.tgz")) - {of_a_wrong_clock, *others}
    kept = {path.with_suffix(suffix) for path in (of_a_wrong_clock, new) for suffix in (".tgz", ".env")}
    assert set(folder.iterdir()) == {*kept, *others}
    assert sh(stack, f"deploy/backup.sh {folder} 1").returncode == 0
    assert not of_a_wrong_clock.exists()


@pytest.mark.parametrize(
    "arguments",
    ["", "backups", "/back:ups", "{folder} 0", "{folder} -1", "{folder} seven", "{folder} ''", "{folder} 7 7"],
)
def test_a_backup_refuses_arguments_that_it_does_not_understand(stack: Path, arguments: str) -> None:
    refused = sh(stack, f"deploy/backup.sh {arguments.format(folder=stack.parent / 'backups')}")
    assert (refused.returncode, calls(stack)) == (2, [])
    assert "usage:" in refused.stderr


@pytest.mark.parametrize("locked", ["checkout", "backups"])
def test_a_backup_refuses_to_run_beside_another(stack: Path, locked: str) -> None:
    folder = stack.parent / "backups"
    folder.mkdir()
    of_the_other = folder / "telemetry-20260101T000000Z.part"
    of_the_other.touch()
    other = os.open(stack.parent / locked, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused = sh(stack, f"deploy/backup.sh {folder}")
    finally:
        os.close(other)
    assert (refused.returncode, calls(stack)) == (1, [])
    assert "another backup is running" in refused.stderr
    assert list(folder.iterdir()) == [of_the_other]


def test_a_backup_without_env_or_folder_or_space_leaves_clickhouse_running(stack: Path) -> None:
    folder = stack.parent / "backups"
    refused = sh(stack, f"deploy/backup.sh {stack / '.env'}")
    assert (refused.returncode, "cannot be made" in refused.stderr) == (1, True)

    df = stack.parent / "bin" / "df"
    df.write_text("#!/bin/sh\necho Avail\necho 4\n")
    df.chmod(0o755)
    older = backups(folder, "20260101T000000Z")  # of 4.9 KB
    refused = sh(stack, f"deploy/backup.sh {folder}")
    assert (refused.returncode, "has 4 KB of free space" in refused.stderr) == (1, True)
    df.unlink()

    (stack / ".env").unlink()
    refused = sh(stack, f"deploy/backup.sh {folder}")
    assert (refused.returncode, ".env is missing" in refused.stderr) == (1, True)
    assert calls(stack) == []
    assert list(folder.glob("*.tgz")) == older
