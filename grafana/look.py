"""Colours, units, thresholds and links that are the same on all dashboards."""

from __future__ import annotations

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

from grafana import limits, names
from otel_intel import presentation

# Labels of columns, with the staff pages' colours for a light background: Grafana has one colour for both themes.
TONES = {column: (look.label, look.light) for column, look in presentation.LOOKS.items()}
TIME_TONE = presentation.TIME.light
# Grafana's own colour names: the staff pages' colours are too dark for text in its dark theme.
GOOD, BAD, WARNING, NEUTRAL, BAR = "green", "red", "orange", "text", "blue"

# Limits, each with the colour of values from it on. No value at all gets the base colour, which is not red.
ACCEPTANCE_LIMIT = ((0.0, BAD), (limits.ACCEPTANCE_SHARE_LOW, NEUTRAL))
OVERRIDE_LIMIT = ((limits.OVERRIDE_RATE_HIGH, BAD),)
FALSE_POSITIVE_LIMIT = ((limits.FALSE_POSITIVE_RATE_HIGH, BAD),)

# Counts are exact: nobody could compare "2.24 K" with the 2238 of another panel.
RATE, COUNT, BYTES, TEXT = "percentunit", "none", "bytes", "string"
MILLISECONDS, SECONDS = "ms", "s"
# Grafana converts its own units for minutes and hours into hours and days, with axis labels such as 0.25 h.
MINUTES, HOURS = "suffix:min", "suffix:h"

Properties = dict[str, object]

# A table's column of counts; a column without a unit is text.
COUNTED: Properties = {"unit": COUNT, "decimals": 0}

# A cell without a value in a table that has others.
MISSING: Properties = {"noValue": "-"}


def options(properties: Properties) -> list[models.DynamicConfigValue]:
    """Return field options as the SDK wants them in an override."""
    return [models.DynamicConfigValue(id_val=name, value=value) for name, value in properties.items()]


def fixed(colour: str) -> Properties:
    """Return the field option of one colour."""
    return {"color": {"mode": "fixed", "fixedColor": colour}}


def name(column: str) -> Properties:
    """Return the name of a column that is an action, an outcome or a kind of view."""
    return {"displayName": TONES[column][0]}


def tone(column: str) -> Properties:
    """Return its name and its colour."""
    return {**name(column), **fixed(TONES[column][1])}


def _badges() -> Properties:
    names = enumerate(TONES.items())
    texts = {column.upper(): {"text": name, "color": hue, "index": at} for at, (column, (name, hue)) in names}
    return {
        "mappings": [{"type": "value", "options": texts}],
        "custom.cellOptions": {"type": "color-background", "mode": "basic"},
        "custom.width": 120,
    }


# A table's column of ACCEPTED, RESOLVED, …
BADGE = _badges()


def sentences(colours: dict[str, str]) -> list[models.ValueMapping]:
    """Return a value mapping that colours a text by a part of it."""
    return [
        models.RegexMap(models.DashboardRegexMapOptions(f".*{part}.*", models.ValueMappingResult(color=colour)))
        for part, colour in colours.items()
    ]


def steps(base: str, *limits: tuple[float, str]) -> builders.ThresholdsConfig:
    """Return thresholds: the colour below all limits, then each limit with the colour from it on."""
    listed = [models.Threshold(value=None, color=base), *(models.Threshold(value=at, color=c) for at, c in limits)]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(listed)


def limit_line(limit: float) -> builders.ThresholdsConfig:
    """Return the threshold that a graph draws as a line."""
    return steps("transparent", (limit, BAD))


def step_options(base: str, *limits: tuple[float, str]) -> Properties:
    """Return the same thresholds as an override, which also colours by them."""
    return {"thresholds": steps(base, *limits).build(), "color": {"mode": "thresholds"}}


# Columns of decision times.
TIMES = {
    "average": {"displayName": "Average", **fixed("#8a97a6")},
    "p50": {"displayName": "p50", **fixed(TIME_TONE)},
    "p90": {"displayName": "p90", **fixed("#d9822b")},
}

# Columns of shares of decisions.
SHARES = {
    "acceptance_share": {"displayName": "Acceptance share", **fixed(TONES["accepted"][1])},
    "override_rate": {"displayName": "Override rate", **fixed(TONES["overridden"][1])},
}


# A line drawn over stacked bars.
LINE_OVER_BARS: Properties = {
    "custom.drawStyle": "line",
    "custom.lineWidth": 2,
    "custom.fillOpacity": 0,
    "custom.lineInterpolation": "stepAfter",
    "custom.stacking": {"mode": "none", "group": "A"},
}


def legend(*calculations: str) -> common_builders.VizLegendOptions:
    """Return a legend in a line under the graph: Grafana shows only a third of the panel's height of a table legend."""
    return (
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(list(calculations))
    )


def no_legend() -> common_builders.VizLegendOptions:
    """Return a hidden legend, for a graph whose title names its only series."""
    return (
        common_builders.VizLegendOptions()
        .show_legend(False)
        .display_mode(common.LegendDisplayMode.HIDDEN)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs([])
    )


def tooltip() -> common_builders.VizTooltipOptions:
    """Return a tooltip that names all series."""
    return common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)


def cell_link(title: str, url: str, *, new_tab: bool = False) -> Properties:
    """Return the field option of a link on each cell of a column."""
    return {"links": [{"title": title, "url": url, "targetBlank": new_tab}]}


class Link(builders.DashboardLink):
    """A link in the row of controls: the SDK's only value for the placement would put it into a menu."""

    def build(self) -> models.DashboardLink:
        """Return the link."""
        made = super().build()
        made.placement = None  # type: ignore[assignment]
        return made


def next_link(title: str, uid: str) -> Link:
    """Return a panel's link to another dashboard, with the time range and the variables."""
    url = f"/d/{uid}?${{__url_time_range}}&${{__all_variables}}"
    return Link(title).type(models.DashboardLinkType.LINK).url(url)


def filter_link(title: str, uid: str, variable: str) -> Properties:
    """Return the link from a cell to a dashboard, with a variable set to the cell's value."""
    return cell_link(title, f"/d/{uid}?var-{variable}=${{__value.raw:percentencode}}&${{__url_time_range}}")


def version_link() -> Properties:
    """Return the link from a version's cell to the dashboard that compares two versions."""
    return filter_link("Compare this version", names.ENGINE_VERSIONS, "version_b")


def staff_link(title: str, page: str) -> Properties:
    """Return the link from a cell to a staff page; the cell's value is appended to ``page``."""
    return cell_link(title, f"${{site_url}}/telemetry/{page}${{__value.raw:percentencode}}", new_tab=True)


def trace_link() -> Properties:
    """Return the link from a trace id to the staff page that shows the request."""
    # A cell without a trace is blank: "-" would look like a link.
    return {
        "noValue": " ",
        **cell_link("Open the request", "${site_url}/telemetry/traces/${__value.raw}/", new_tab=True),
    }
