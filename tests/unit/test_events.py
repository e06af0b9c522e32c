from __future__ import annotations

import inspect
import math
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_intel import InvalidEventError, Telemetry, events


def clean(event: events.Event, *arguments: object) -> tuple[object, ...]:
    return event.clean(arguments)


@pytest.mark.parametrize("event", [event for event in events.CATALOGUE.values() if event.helper])
def test_helper_takes_the_catalogues_arguments_in_order(event: events.Event) -> None:
    parameters = list(inspect.signature(getattr(Telemetry, event.helper)).parameters.values())[1:]
    positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in positional] == [attribute.argument for attribute in event.attributes]
    assert [p.default is p.empty for p in positional] == [True] * len(event.required) + [False] * len(event.optional)
    assert [p.name for p in parameters if p.kind is p.KEYWORD_ONLY] == ["engine_version", "timestamp"]


def test_every_helper_is_in_the_catalogue() -> None:
    helpers = {name for name in vars(Telemetry) if name.startswith("track_")}
    assert helpers == {event.helper for event in events.CATALOGUE.values() if event.helper}


def test_state_changes_are_the_decisions_outcomes_and_notes() -> None:
    assert {event.helper for event in events.CATALOGUE.values() if event.state_change} == {
        "track_recommendation_accept",
        "track_recommendation_ignore",
        "track_recommendation_override",
        "track_signal_outcome",
        "track_admin_note_create",
    }


@pytest.mark.parametrize(
    ("given_id", "wire"),
    [
        (7, "7"),
        (-1, "-1"),
        ("signal-7", "signal-7"),
        (UUID("0190A2A0-0000-7000-8000-000000000001"), "0190a2a0-0000-7000-8000-000000000001"),
    ],
)
def test_ids_are_strings_on_the_wire(given_id: object, wire: str) -> None:
    assert clean(events.DASHBOARD_OPENED, given_id) == (wire,)


@pytest.mark.parametrize("bad", [True, None, 1.5, b"1", "", "  ", "a\nb", "\ud800", "x" * 201, object()])
def test_bad_ids_are_refused_by_name(bad: object) -> None:
    with pytest.raises(InvalidEventError, match=r"track_dashboard_open: admin_user_id (must|is missing)"):
        clean(events.DASHBOARD_OPENED, bad)


class Level(StrEnum):
    HIGH = "HIGH"


def test_members_of_an_enum_lose_their_class() -> None:
    values = clean(events.RECOMMENDATION_VIEWED, 1, 2, Level.HIGH, Level.HIGH)
    assert [type(value) for value in values] == [str] * 4


@pytest.mark.parametrize("bad", ["highest", "", None, 1, ["HIGH"]])
def test_a_closed_set_names_what_it_allows(bad: object) -> None:
    with pytest.raises(InvalidEventError, match=r"confidence (must be one of HIGH, MEDIUM, LOW|is missing)"):
        clean(events.RECOMMENDATION_VIEWED, 1, 2, "EXPIRING_SOON", bad)


@pytest.mark.parametrize("bad", [-5001, 2**63, math.nan, "450", True])
def test_decision_times_are_milliseconds(bad: object) -> None:
    with pytest.raises(InvalidEventError, match="decision_time_ms"):
        clean(events.RECOMMENDATION_ACCEPTED, 1, 2, "EXPIRING_SOON", "LOW", bad)


@pytest.mark.parametrize("bad", [-0.5, math.inf, math.nan, 10**400, "24", True])
def test_resolution_times_are_finite_hours(bad: object) -> None:
    with pytest.raises(InvalidEventError, match="resolution_time_hours"):
        clean(events.OUTCOME_RECORDED, 1, "RESOLVED", bad, None, None)


def test_a_wrong_optional_value_costs_itself() -> None:
    values, wrong = events.OUTCOME_RECORDED.clean_required((1, "RESOLVED", "soon", 7, True))
    assert values == ("1", "RESOLVED", None, "7", None)
    assert str(wrong) == "track_signal_outcome: resolution_time_hours must be a number of hours, not str"


def test_a_wrong_required_value_costs_the_event() -> None:
    with pytest.raises(InvalidEventError, match="outcome_status must be one of"):
        events.OUTCOME_RECORDED.clean_required((1, "DONE", "soon", None, None))


def test_a_missing_optional_stays_absent() -> None:
    assert clean(events.OUTCOME_RECORDED, 1, "RESOLVED", None, None, None) == ("1", "RESOLVED", None, None, None)


def test_a_missing_required_argument_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="risk_signal_id is missing"):
        clean(events.OUTCOME_RECORDED, None, "RESOLVED", None, None, None)


@given(st.one_of(st.text(), st.integers(), st.uuids(), st.floats(), st.none(), st.booleans(), st.binary()))
def test_whatever_an_id_is_it_can_be_encoded_or_is_refused(value: object) -> None:
    try:
        (wire,) = clean(events.DASHBOARD_OPENED, value)
    except InvalidEventError:
        return
    assert isinstance(wire, str)
    assert 0 < len(wire.encode()) <= 4 * 201 or isinstance(value, int)


def test_nothing_personal_is_on_the_allow_list() -> None:
    assert all(key.startswith("intel.") or key == "log.record.uid" for key in events.allowed_keys())


def test_an_argument_that_a_helper_has_not_is_named() -> None:
    with pytest.raises(InvalidEventError, match="track_dashboard_open takes no note, risk_signal_id"):
        events.DASHBOARD_OPENED.arguments({"admin_user_id": 1, "risk_signal_id": 2, "note": 3})
