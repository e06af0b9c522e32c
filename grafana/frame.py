"""The common parts of a dashboard: variables, links, marks for new engine versions."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog import builder
from grafana_foundation_sdk.models import dashboard as models

from grafana import look, names
from grafana.panels import SOURCE, Panel, QueryBuilder
from grafana.queries import common as queries
from otel_intel.commands.grafana_files import SITE_URL

Variable = builder.Builder[models.VariableModel]


def window(days: int) -> Variable:
    """Return the variable for the headline numbers' window."""
    choices = [models.VariableOption(selected=n == days, text=f"{n} days", value=str(n)) for n in (7, 30, 90)]
    return (
        builders.CustomVariable("window")
        .label("Headline window")
        .description("Days of the headline numbers: today and the days before it. Graphs follow the time picker.")
        .values(",".join(f"{choice.text} : {choice.value}" for choice in choices))
        .options(choices)
        .current(next(choice for choice in choices if choice.selected))
        .multi(False)
        .include_all(False)
        .allow_custom_value(False)
    )


def choice(name: str, label: str, sql: str) -> Variable:
    """Return a variable with one value from a query; the value '' is shown as All."""
    return _query(name, label, sql).current(models.VariableOption(selected=True, text="All", value=""))


def _query(name: str, label: str, sql: str) -> builders.QueryVariable:
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"refId": name, "queryType": "sql", "rawSql": sql.strip()})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.DISABLED)
        .multi(False)
        .include_all(False)
        .allow_custom_value(False)
    )


def engine_version() -> Variable:
    """Return the variable for one engine version or all."""
    return choice("engine_version", "Engine version", queries.ENGINE_VERSIONS)


def recommendation_type() -> Variable:
    """Return the variable for one recommendation type or all."""
    return choice("recommendation_type", "Recommendation type", queries.RECOMMENDATION_TYPES)


def confidence() -> Variable:
    """Return the variable for one confidence or all."""
    return choice("confidence", "Confidence", queries.CONFIDENCES)


def service() -> Variable:
    """Return the variable for one sending application or all."""
    return choice("service", "Service", queries.SERVICES)


def version(name: str, label: str, sql: str) -> Variable:
    """Return the variable for an engine version to compare; the default is the first row of the query."""
    return _query(name, label, sql).current(models.VariableOption(text="", value=""))


def _dashboard_links(staff_page: str, path: str) -> list[look.Link]:
    return [
        look.Link("Dashboards")
        .type(models.DashboardLinkType.DASHBOARDS)
        .tags([names.TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True),
        look.Link(staff_page)
        .type(models.DashboardLinkType.LINK)
        .url(f"${{site_url}}{path}")
        .icon("external link")
        .tooltip("The same data on the staff pages of the site")
        .target_blank(True),
    ]


class _Marks(builders.AnnotationQuery):
    def build(self) -> models.AnnotationQuery:
        made = super().build()
        made.placement = None  # type: ignore[assignment] # see look.Link
        return made


def _marks(sql: str) -> builders.AnnotationQuery:
    return (
        _Marks()
        .name("New engine versions")
        .datasource(SOURCE)
        .enable(True)
        .hide(False)
        .icon_color("purple")
        .target(QueryBuilder(sql, "table", "Anno"))
    )


def _place(panels: Sequence[models.Panel]) -> None:
    """Put each panel into the highest free position, and there as far left as possible."""
    bottoms = [0] * 24
    for panel in panels:
        place = panel.grid_pos
        assert place is not None
        rows = ((max(bottoms[x : x + place.w]), x) for x in range(24 - place.w + 1))
        place.y, place.x = min(rows)
        bottoms[place.x : place.x + place.w] = [place.y + place.h] * place.w


def dashboard(
    uid: str,
    title: str,
    question: str,
    panels: Sequence[Panel],
    *,
    variables: Sequence[Variable],
    staff_page: tuple[str, str],
    days: int,
    marks: bool = False,
) -> models.Dashboard:
    """Return a dashboard of panels, placed automatically.

    ``staff_page`` is the title and path of the staff page with the same data; ``days`` is the graphs' default range,
    today included; ``marks`` adds a mark at the first event of each engine version.
    """
    site = builders.ConstantVariable("site_url").label("Staff pages").value(SITE_URL)
    frame = (
        builders.Dashboard(title)
        .uid(uid)
        .description(" ".join(question.split()))
        .tags([names.TAG])
        .readonly()
        .timezone("utc")
        .week_start("monday")
        .time(f"now-{days - 1}d/d", "now")
        .refresh("")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .links([*_dashboard_links(*staff_page)])
        .variables([*variables, site])
        .annotations([_marks(queries.NEW_VERSIONS)] if marks else [])
    )
    for panel in panels:
        frame = frame.with_panel(panel)
    made = frame.build()
    _place([panel for panel in made.panels or [] if isinstance(panel, models.Panel)])
    return made
