"""Users of the embedded server can reach none of the machine's files except the server's own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.exceptions import DatabaseError

from otel_intel.commands.main import main
from otel_intel.server import embedded, landlock
from tests.servers import ClickHouse, run_clickhouse

ROLES = ("writer", "reader", "dashboard")
confined = pytest.mark.skipif(
    not landlock.supported(), reason="NOT TESTED: this kernel has no Landlock, log-ins can read the user's files"
)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of the same system user that does not belong to the server."""
    file = tmp_path / "passwd"
    file.write_text("root:secret")
    return file


@confined
@pytest.mark.parametrize("role", [*ROLES, "admin"])
def test_no_clickhouse_user_reads_files_of_the_system_user(
    clickhouse_server: ClickHouse, role: str, outside: Path
) -> None:
    directory = clickhouse_server.server.directory
    server = int((directory / "server.pid").read_text())
    paths = [
        *(directory / "otel-intel.json", directory / "server.pid", directory / "server.log"),
        *(outside, Path("/etc/passwd"), Path(__file__), directory / "data" / ".." / "otel-intel.json"),
        *(Path(f"/proc/{os.getpid()}/{name}") for name in ("environ", "cmdline", "fd/1")),
        *(Path(f"/proc/{server}/{name}") for name in ("cwd/otel-intel.json", f"root{outside}", "fd/1")),
        Path(f"/proc/self/root{outside}"),
    ]
    for path in paths:
        with pytest.raises(DatabaseError, match="Permission denied") as refused:
            clickhouse_server.client(role).query("SELECT file({path:String})", parameters={"path": str(path)})
        assert "secret" not in str(refused.value)
        assert "password" not in str(refused.value)


@confined
@pytest.mark.parametrize("role", ROLES)
def test_no_clickhouse_user_reads_databases_of_the_system_user(
    clickhouse_server: ClickHouse, role: str, tmp_path: Path
) -> None:
    database = tmp_path / "db.sqlite3"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE auth_user (password TEXT)")
    # Grants refuse access to the tables of such a database, but they do not stop ClickHouse from opening it.
    with pytest.raises(DatabaseError, match="unable to open database file"):
        clickhouse_server.client(role).query(f"SELECT * FROM sqlite('{database}', 'auth_user')")


@confined
@pytest.mark.parametrize("role", ["writer", "dashboard"])
def test_no_setting_reads_files_of_the_system_user(clickhouse_server: ClickHouse, role: str, outside: Path) -> None:
    with pytest.raises(DatabaseError, match="Permission denied"):
        clickhouse_server.client(role).raw_query(
            "SELECT 1 FORMAT Template", settings={"format_template_resultset": str(outside)}
        )


@confined
@pytest.mark.parametrize("role", ROLES)
def test_the_servers_own_files_can_be_read(clickhouse_server: ClickHouse, role: str) -> None:
    """Without this, the tests above could pass because the function does not exist."""
    assert "MemTotal" in str(clickhouse_server.value("SELECT file('/proc/meminfo')", role=role))


@pytest.mark.parametrize("role", ROLES)
def test_environment_of_the_server_holds_nothing_secret(clickhouse_server: ClickHouse, role: str) -> None:
    environment = str(clickhouse_server.value("SELECT file('/proc/self/environ')", role=role))
    allowed = {"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TZ"}
    assert {entry.split("=")[0] for entry in environment.split("\0") if entry} <= allowed


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "source",
    [
        "file('{}', 'LineAsString', 'l String')",
        "executable('cat {}', 'LineAsString', 'l String')",
        "filesystem('{}')",
        "icebergLocal('{}')",
        "deltaLakeLocal('{}')",
        "mergeTreeIndex('intel', 'otel_logs')",
        "url('file://{}', 'LineAsString', 'l String')",
    ],
)
def test_table_functions_are_refused(clickhouse_server: ClickHouse, role: str, source: str, outside: Path) -> None:
    with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|READONLY"):
        clickhouse_server.client(role).query(f"SELECT * FROM {source.format(outside)}")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMPORARY TABLE t (l String) ENGINE = File(LineAsString, '{}')",
        "CREATE TABLE metrics.t (l String) ENGINE = File(LineAsString, '{}')",
        "CREATE DATABASE d ENGINE = Filesystem('{}')",
        "SELECT 1 INTO OUTFILE '{}.copy'",
        "BACKUP TABLE metrics.decisions TO File('{}.copy')",
    ],
)
def test_engines_are_refused(clickhouse_server: ClickHouse, role: str, statement: str, outside: Path) -> None:
    with pytest.raises(DatabaseError, match=r"ACCESS_DENIED|READONLY|INTO_OUTFILE_NOT_ALLOWED"):
        clickhouse_server.client(role).command(statement.format(outside))
    assert [path.name for path in outside.parent.iterdir()] == [outside.name]


@confined
def test_confined_process_reads_and_writes_only_allowed_folders(tmp_path: Path) -> None:
    for name in ("read", "write", "neither"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    script = """
import sys
from pathlib import Path
from otel_intel.server.landlock import confine
top = Path(sys.argv[1])
confine([top / "read", top / "missing"], [top / "write"])
for folder in ("read", "write", "neither"):
    for action in (Path.read_text, Path.unlink):
        try:
            action(top / folder / "file")
        except PermissionError:
            print(folder, action.__name__, "refused")
"""
    said = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["read unlink refused", "neither read_text refused", "neither unlink refused"]


def test_server_runs_where_it_cannot_be_confined(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    shutil.copy(Path(embedded.__file__).with_name("engine.py"), package)
    (package / "landlock.py").write_text("def supported(): return False\n")
    monkeypatch.setattr(embedded, "__file__", str(package / "embedded.py"))
    with run_clickhouse(tmp_path / "data") as clickhouse:
        assert clickhouse.value(f"SELECT file('{outside}')", role="dashboard") == "root:secret"


def test_up_warns_where_the_server_cannot_be_confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thesis.txt").touch()  # `up` refuses a directory with other files, so no server starts
    up = ["up", "--data", str(tmp_path)]
    monkeypatch.setattr(landlock, "supported", lambda: False)
    warned = CliRunner().invoke(main, up).stderr
    assert warned.startswith("Warning: this system cannot confine the server (Landlock of Linux 5.19 or later)")
    assert "whoever can log in to it can read this user's files" in warned
    monkeypatch.setattr(landlock, "supported", lambda: True)
    assert "Warning" not in CliRunner().invoke(main, up).stderr


@pytest.mark.parametrize(("platform", "abi"), [("darwin", 7), ("linux", -1), ("linux", 1)])
def test_other_systems_and_older_kernels_are_not_supported(
    platform: str, abi: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel without Landlock refuses the call; other kernels return the version of the interface."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", lambda *arguments, **options: SimpleNamespace(syscall=lambda *arguments: abi))
    assert not landlock.supported()
