"""A template's context is an interface: each template uses its documented fields and nothing else."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.http import QueryDict
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.template.loader import render_to_string

from otel_intel.pages import trends
from otel_intel.pages.activity import ActivityContext
from otel_intel.pages.charts import Chart, Series
from otel_intel.pages.context import Context
from otel_intel.pages.filters import Filters
from otel_intel.pages.forms import FilterForm
from otel_intel.pages.log_page import LogContext, Preset
from otel_intel.pages.log_tables import log_table
from otel_intel.pages.logs import EVENTS
from otel_intel.pages.outcomes import OutcomesContext
from otel_intel.pages.overview import Figure, OverviewContext, Part
from otel_intel.pages.summary import Change
from otel_intel.pages.tables import Cell, Header, Table
from otel_intel.pages.trace import WIDTH, Bar, Span, TraceContext

CONTEXTS = (LogContext, OverviewContext, OutcomesContext, ActivityContext, TraceContext)
DAY = date(2026, 3, 1)
TABLE = Table("name", "A caption", [Header("Head")], [[Cell("cell", url="/", title="longer")]], "?csv=name")
CHART = Chart("chart", "A chart", "bar", "count", "Day", ["2026-03-01"], [Series("one", [1], ["viewed"])], "?csv=chart")
CHANGE = Change("▲ +1.0 pp", "good")
SPAN = Span("a", "", "GET /", "Server", "shop", 0, 84.0, "Error", "/", "GET", "500")
LOG = LogContext(
    log=TABLE,
    filters=Filters(DAY, DAY, notes=("A note.",)),
    form=FilterForm(EVENTS.filters, initial={"action": "VIEWED"}, suggestions={"version": ["2.0"]}),
    presets=[Preset("today", "?", True)],
    previous="?before=x",
    following="?after=x",
    beginning="?",
    is_narrowed=True,
    cleared="?",
)
OVERVIEW = OverviewContext(
    is_empty=False,
    last="2026-03-01",
    low_disks=["default: 1 GB of 96 GB free"],
    cards=[("Acceptance rate", [Figure(7, "40.0 %", CHANGE, "4 of 10", "more")])],
    distributions=[(7, [Part("resolved", "resolved", 0, 1000, "100.0 %", "3", CHANGE)])],
    metrics=TABLE,
    versions=TABLE,
    events=TABLE,
    outcomes=TABLE,
    activity=TABLE,
    rates=CHART,
    times=CHART,
    actions=CHART,
    endings=CHART,
)
PAGES: dict[str, tuple[Context, ...]] = {
    "events": (LOG,),
    "outcomes": (LOG, OutcomesContext(distribution=TABLE, shares=CHART, resolution=CHART)),
    "activity": (LOG, ActivityContext(admins=TABLE, hours=CHART)),
    "overview": (OVERVIEW,),
    "trace": (
        TraceContext(
            trace_id="a" * 32,
            bars=[Bar(SPAN, 0, 0, WIDTH, "84 ms")],
            spans=TABLE,
            width=WIDTH,
            filters=Filters(DAY, DAY),
            logs=[log_table(EVENTS, [], "Recommendation events", QueryDict()), TABLE],
        ),
    ),
}
MISSING = "\N{WARNING SIGN} no variable %s"


@pytest.fixture
def strict_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a missing variable in the page instead of an empty text."""
    backend = engines["django"]
    assert isinstance(backend, DjangoTemplates)
    monkeypatch.setattr(backend.engine, "string_if_invalid", MISSING)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("strict_templates", "db")
def test_a_page_is_made_of_its_documented_fields(page: str) -> None:
    variables: dict[str, Any] = {name: value for part in PAGES[page] for name, value in part.variables().items()}
    html = render_to_string(f"otel_intel/{page}.html", {"page": page, **variables})
    assert re.findall(MISSING.partition("%")[0] + r"\S+", html) == []
    assert "<h1>" in html


@pytest.mark.parametrize("context", CONTEXTS, ids=lambda context: context.__name__)
def test_every_field_is_documented(context: type[Context]) -> None:
    documented = re.findall(r"^        (\w+): ", inspect.getdoc(context) or "", re.MULTILINE)
    documented = documented or re.findall(r"^    (\w+): ", inspect.getdoc(context) or "", re.MULTILINE)
    assert documented == [field.name for field in fields(context)]


def test_every_page_of_the_site_is_covered() -> None:
    templates = Path(inspect.getfile(trends)).parents[1] / "templates" / "otel_intel"
    pages = {path.stem for path in templates.glob("[!_]*.html")}
    assert pages - {"base", "forbidden", "unavailable"} == PAGES.keys()
