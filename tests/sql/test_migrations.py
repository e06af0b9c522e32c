"""Migrations on a real server: a crash, two runs at once, a changed file, a server of somebody else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from otel_intel.resources import folder
from otel_intel.schema.connection import ClickHouseUnreachable, connect
from otel_intel.schema.migrate import MigrationError, migrate, pending, read_steps
from tests.otlp import deliver, event, send
from tests.servers import ClickHouse


@pytest.fixture
def admin(clickhouse: ClickHouse) -> Client:
    return clickhouse.client("admin")


@pytest.fixture
def sql(tmp_path: Path, admin: Client) -> Iterator[Path]:
    """A copy of the SQL with an additional migration, which a test may change; at the end, the server is as before."""
    shutil.copytree(folder("clickhouse"), tmp_path / "clickhouse")
    directory = tmp_path / "clickhouse"
    directory.joinpath("migrations", "9000_add_things.sql").write_text(
        "-- Why: a test.\nCREATE TABLE IF NOT EXISTS intel.thing (a UInt8) ENGINE = Memory;\n\n"
        "ALTER TABLE intel.thing ADD COLUMN IF NOT EXISTS b UInt8;\n"
        "ALTER TABLE intel.thing ADD COLUMN IF NOT EXISTS c UInt8;\n"
    )
    yield directory
    admin.command("DROP TABLE IF EXISTS intel.thing")
    admin.command("DELETE FROM intel.schema_migrations WHERE file LIKE '9%'")


def _columns(admin: Client) -> str:
    return "".join(name for name, *_ in admin.query("DESCRIBE intel.thing").result_rows)


def test_applied_schema_has_nothing_pending(admin: Client) -> None:
    assert pending(admin) == []


def test_pending_steps_are_applied_in_order_and_recorded(admin: Client, sql: Path) -> None:
    assert [(step.file, step.number) for step in pending(admin, sql)] == [("9000_add_things.sql", n) for n in (1, 2, 3)]
    lines: list[str] = []
    migrate(admin, lines.append, sql)
    assert lines[0] == "9000_add_things.sql step 1: CREATE TABLE IF NOT EXISTS intel.thing (a UInt8) ENGINE = Memory"
    assert _columns(admin) == "abc"
    assert pending(admin, sql) == []


def test_schema_of_a_development_version_is_brought_up_to_date(admin: Client) -> None:
    tables = admin.command("SELECT count() FROM system.tables WHERE database = 'intel'")
    admin.insert(
        "intel.schema_migrations",
        [["0003_create_door.sql", 1, "0" * 64], ["0001_create_landing.sql", 1, "0" * 64]],
        column_names=["file", "step", "sha256"],
    )
    steps = read_steps(folder("clickhouse") / "migrations")
    assert pending(admin) == steps
    lines: list[str] = []
    migrate(admin, lines.append)
    assert lines[0].startswith("The schema was made before 0.1.0: every migration runs again")
    assert len(lines) == 1 + len(steps)
    assert pending(admin) == []
    assert admin.command("SELECT count() FROM system.tables WHERE database = 'intel'") == tables


def test_numbers_of_before_there_were_signals_are_computed_anew(clickhouse: ClickHouse, admin: Client) -> None:
    send(
        clickhouse, *(event(name) for name in ("recommendation.viewed", "recommendation.accepted", "dashboard.opened"))
    )
    today = "first_day = today(), last_day = today(), engine_version = ''"
    questions = [
        f"SELECT * FROM metrics.funnel_between({today}, recommendation_type = '')",
        f"SELECT events FROM metrics.activity_by_hour_between({today}, admin_id = '')",
    ]
    right = [clickhouse.rows(question) for question in questions]
    assert [row["signals"] for row in right[0]] == [1, 1, 0]
    admin.command("DELETE FROM intel.schema_migrations WHERE file = '0005_create_signals.sql'")
    admin.command("DROP TABLE intel.signals SYNC")
    admin.command("ALTER TABLE intel.days_engagement DROP COLUMN hours")
    admin.command("DELETE FROM intel.days WHERE kind = 'signals'")
    migrate(admin, lambda line: None)
    assert [clickhouse.rows(question) for question in questions] == right


def test_second_run_runs_no_migration(admin: Client, sql: Path) -> None:
    migrate(admin, print, sql)
    lines: list[str] = []
    migrate(admin, lines.append, sql)
    assert lines == []


@pytest.mark.parametrize("survived", [1, 2, 3])
def test_run_after_a_kill_finishes_the_work(clickhouse: ClickHouse, admin: Client, sql: Path, survived: int) -> None:
    """The process is killed after a statement has run, but before the ledger records it."""
    program = (
        "import os, sys; from pathlib import Path; from otel_intel.schema import migrate as m\n"
        "from otel_intel.schema.connection import connect\n"
        "steps = iter(range(1, 9))\n"
        "with connect(sys.argv[1]) as client:\n"
        "    command = client.command\n"
        "    def dying(sql, **k):\n"
        f"        if sql.startswith('INSERT') and next(steps) == {survived}: os.kill(os.getpid(), 9)\n"
        "        return command(sql, **k)\n"
        "    client.command = dying\n"
        "    m.migrate(client, print, Path(sys.argv[2]))"
    )
    died = subprocess.run([sys.executable, "-c", program, clickhouse.url("admin"), str(sql)], check=False)
    assert died.returncode == -9
    assert len(pending(admin, sql)) == 4 - survived
    migrate(admin, print, sql)
    assert _columns(admin) == "abc"
    assert pending(admin, sql) == []


def test_runs_at_the_same_time_do_no_harm(clickhouse: ClickHouse, admin: Client, sql: Path) -> None:
    errors: list[Exception] = []

    def run() -> None:
        try:
            with connect(clickhouse.url("admin")) as client:
                barrier.wait()
                migrate(client, lambda line: None, sql)
        except Exception as error:  # noqa: BLE001 (the test reports any error)
            errors.append(error)

    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert _columns(admin) == "abc"
    deliver(clickhouse, event("recommendation.viewed"))
    assert clickhouse.value("SELECT count() FROM metrics.recommendation_events") == 1


def test_view_that_another_run_replaces_gets_its_comments(clickhouse: ClickHouse, admin: Client, sql: Path) -> None:
    views = [step.statement for step in read_steps(sql / "views")]
    replace = next(view for view in views if "CREATE OR REPLACE VIEW metrics.signal_outcomes" in view)
    for path in (sql / "migrations" / "9000_add_things.sql", *(sql / "views").iterdir()):
        path.unlink()
    comment = "ALTER TABLE metrics.signal_outcomes COMMENT COLUMN is_first 'tried';\n"
    (sql / "views" / "90_comment_columns.sql").write_text(comment * 200)  # one of four meets the other run
    done = threading.Event()

    def replace_all_the_time() -> None:
        with connect(clickhouse.url("admin")) as client:
            while not done.is_set():
                client.command(replace)

    thread = threading.Thread(target=replace_all_the_time)
    thread.start()
    try:
        migrate(admin, print, sql)
    finally:
        done.set()
        thread.join()
        migrate(admin, print)


def test_changed_migration_is_refused_by_name(admin: Client, sql: Path) -> None:
    migrate(admin, print, sql)
    path = sql / "migrations" / "9000_add_things.sql"
    path.write_text(path.read_text().replace("b UInt8", "b UInt16"))
    with pytest.raises(MigrationError, match=r"9000_add_things\.sql was changed after step 2"):
        migrate(admin, print, sql)


def test_migration_of_a_newer_version_is_refused_by_name(admin: Client, sql: Path) -> None:
    migrate(admin, print, sql)
    with pytest.raises(MigrationError, match=r"9000_add_things\.sql step 1 is applied .* install the newer version"):
        migrate(admin, print)


def test_failed_statement_is_named_and_the_rest_waits(admin: Client, sql: Path) -> None:
    path = sql / "migrations" / "9000_add_things.sql"
    good = path.read_text()
    path.write_text(good.replace("b UInt8", "b Nonsense"))
    with pytest.raises(MigrationError, match=r"9000_add_things\.sql step 2 failed: .*Nonsense"):
        migrate(admin, print, sql)
    path.write_text(good)
    assert [step.number for step in pending(admin, sql)] == [2, 3]
    migrate(admin, print, sql)
    assert _columns(admin) == "abc"


@pytest.mark.parametrize(
    ("setting", "value", "missing"),
    [
        ("OWNER", "nobody", "user nobody"),
        ("ROLES", ("nobody", "intel_metrics"), "role nobody"),
        ("ROLES", ("intel_ingest", "nobody"), "role nobody"),
    ],
)
def test_server_without_owner_or_role_is_refused_with_the_script(
    admin: Client, monkeypatch: pytest.MonkeyPatch, setting: str, value: object, missing: str
) -> None:
    monkeypatch.setattr(f"otel_intel.schema.migrate.{setting}", value)
    with pytest.raises(MigrationError, match=f"has no {missing}") as caught:
        migrate(admin, print)
    assert "CREATE USER IF NOT EXISTS intel_owner" in str(caught.value)


def test_owner_with_the_grants_of_an_older_version_is_named_with_the_script(admin: Client, sql: Path) -> None:
    path = sql / "views" / "80_health.sql"
    good = path.read_text()
    path.write_text(good.replace("FROM system.disks", "FROM system.disks, system.mutations"))
    with pytest.raises(MigrationError, match=r"(?s)intel_owner: Not enough privileges.* older version") as caught:
        migrate(admin, print, sql)
    assert "GRANT SELECT ON system.disks TO intel_owner" in str(caught.value)
    path.write_text(good)
    migrate(admin, print, sql)


def test_user_who_may_not_see_users_is_told_so(clickhouse: ClickHouse) -> None:
    with pytest.raises(MigrationError, match="may not see users and roles"):
        migrate(clickhouse.client("writer"), print)


def test_server_that_does_not_answer() -> None:
    with pytest.raises(ClickHouseUnreachable, match="ClickHouse does not answer"), connect("http://a:b@127.0.0.1:1"):
        pass


def test_server_that_refuses_a_password_has_answered(clickhouse: ClickHouse) -> None:
    url = clickhouse.url("admin").replace(clickhouse.server.passwords["admin"], "wrong")
    with pytest.raises(ClickHouseUnreachable, match=r"^ClickHouse refused: .*516"), connect(url):
        pass


def test_a_table_of_somebody_else_is_not_replaced(admin: Client) -> None:
    admin.command("CREATE TABLE metrics.figures (a UInt8) ENGINE = MergeTree ORDER BY a")
    try:
        with pytest.raises(MigrationError, match=r"metrics\.figures: not made by otel-intel"):
            migrate(admin, print)
    finally:
        admin.command("DROP TABLE metrics.figures")
