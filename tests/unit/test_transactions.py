from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from otel_intel import Telemetry, get_telemetry
from otel_intel.testing import CapturedEvents
from tests.sink import Sink

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def accept() -> None:
    get_telemetry().track_recommendation_accept(1, 42, "EXPIRING_SOON", "HIGH")


def test_a_state_change_waits_for_the_commit(otel_intel_events: CapturedEvents) -> None:
    before = datetime.now(UTC)
    with transaction.atomic():
        accept()
        called = datetime.now(UTC)
        assert not otel_intel_events
    assert before <= otel_intel_events.only("intel.recommendation.accepted").timestamp <= called


def test_a_rollback_sends_nothing(otel_intel_events: CapturedEvents) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        accept()
        raise ZeroDivisionError
    assert not otel_intel_events


def test_a_rolled_back_savepoint_sends_nothing(otel_intel_events: CapturedEvents) -> None:
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            accept()
            raise ZeroDivisionError
        get_telemetry().track_signal_outcome(1, "RESOLVED")
    assert [event.name for event in otel_intel_events] == ["intel.signal.outcome_recorded"]


def test_views_are_sent_at_once(otel_intel_events: CapturedEvents) -> None:
    with transaction.atomic():
        get_telemetry().track_recommendation_view(1, 42, "EXPIRING_SOON", "HIGH")
        assert otel_intel_events


def test_all_open_transactions_must_commit(otel_intel_events: CapturedEvents) -> None:
    connections["other"].ensure_connection()
    with transaction.atomic(using="other"):
        with transaction.atomic():
            accept()
        assert not otel_intel_events
    assert otel_intel_events


def test_a_rollback_elsewhere_sends_nothing(otel_intel_events: CapturedEvents) -> None:
    connections["other"].ensure_connection()
    with pytest.raises(ZeroDivisionError), transaction.atomic(using="other"):
        with transaction.atomic():
            accept()
        raise ZeroDivisionError
    assert not otel_intel_events


def test_an_inner_rollback_elsewhere_sends_nothing(otel_intel_events: CapturedEvents) -> None:
    connections["other"].ensure_connection()
    with transaction.atomic(), pytest.raises(ZeroDivisionError), transaction.atomic(using="other"):
        accept()
        raise ZeroDivisionError
    assert not otel_intel_events


def test_a_rolled_back_call_was_never_emitted(production: Telemetry, sink: Sink) -> None:
    with transaction.atomic():
        production.track_signal_outcome(1, "RESOLVED")
        assert production.status()["emitted"] == 0
        transaction.set_rollback(True)
    assert production.status()["emitted"] == 0


def test_misuse_is_noticed_at_the_call(otel_intel_events: CapturedEvents) -> None:
    with pytest.raises(ValueError, match="outcome_status"), transaction.atomic():
        get_telemetry().track_signal_outcome(1, "DONE")


@pytest.mark.django_db(transaction=False)
def test_the_transaction_around_a_test_does_not_count(otel_intel_events: CapturedEvents) -> None:
    accept()
    assert otel_intel_events


@pytest.fixture
def manual() -> Iterator[None]:
    """The application commits by itself."""
    transaction.set_autocommit(False)
    yield
    transaction.rollback()
    transaction.set_autocommit(True)


@pytest.mark.usefixtures("manual")
def test_a_state_change_waits_for_the_applications_own_commit(otel_intel_events: CapturedEvents) -> None:
    accept()
    accept()
    assert not otel_intel_events
    transaction.commit()
    assert len(otel_intel_events) == 2
    accept()
    transaction.commit()
    assert len(otel_intel_events) == 3


@pytest.mark.usefixtures("manual")
def test_a_connection_is_followed_once(otel_intel_events: CapturedEvents) -> None:
    accept()
    commit = connections["default"].commit
    accept()
    assert connections["default"].commit == commit
    transaction.commit()
    assert len(otel_intel_events) == 2


@pytest.mark.usefixtures("manual")
def test_autocommit_that_is_switched_on_again_commits(otel_intel_events: CapturedEvents) -> None:
    accept()
    transaction.set_autocommit(True)
    assert len(otel_intel_events) == 1
    accept()
    assert len(otel_intel_events) == 2  # nothing to wait for


@pytest.mark.usefixtures("manual")
def test_the_applications_own_rollback_sends_nothing(otel_intel_events: CapturedEvents) -> None:
    accept()
    transaction.set_autocommit(False)  # again: nothing is committed
    assert not otel_intel_events
    transaction.rollback()
    transaction.commit()
    assert not otel_intel_events


@pytest.mark.usefixtures("manual")
def test_blocks_within_the_applications_own_transaction_wait_for_its_commit(
    otel_intel_events: CapturedEvents,
) -> None:
    for number in range(3):
        with transaction.atomic():
            accept()
        assert len(otel_intel_events) == number
        transaction.commit()
        assert len(otel_intel_events) == number + 1
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        accept()
        raise ZeroDivisionError
    transaction.commit()
    assert len(otel_intel_events) == 3


@pytest.mark.usefixtures("manual")
def test_what_others_wait_for_stays_theirs(otel_intel_events: CapturedEvents) -> None:
    called: list[int] = []
    with transaction.atomic():
        transaction.on_commit(lambda: called.append(1))
        accept()
    transaction.commit()
    assert (len(otel_intel_events), called) == (1, [])
    transaction.set_autocommit(True)
    assert (len(otel_intel_events), called) == (1, [1])


def test_a_connection_that_begins_without_autocommit_waits(
    otel_intel_events: CapturedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connections["other"]
    BaseDatabaseWrapper.close(connection)
    monkeypatch.setitem(connection.settings_dict, "AUTOCOMMIT", False)
    accept()  # before its first query
    assert not otel_intel_events
    connection.rollback()
    connection.commit()
    assert not otel_intel_events
    accept()
    connection.commit()
    assert len(otel_intel_events) == 1
    connection.set_autocommit(True)


@pytest.mark.usefixtures("manual")
def test_a_commit_that_fails_sends_nothing(otel_intel_events: CapturedEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise DatabaseError

    accept()
    monkeypatch.setattr(connections["default"], "_commit", fail)
    with pytest.raises(DatabaseError):
        transaction.commit()
    assert not otel_intel_events
