"""Panels of each kind, with their common settings: id, description, data source, size, text for no data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import bargauge, heatmap, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_models

from grafana import look, names

SOURCE = common.DataSourceRef(type_val=names.DATASOURCE_TYPE, uid=names.DATASOURCE_UID)
FORMATS = {"timeseries": 0, "table": 1}

Overrides = Mapping[str, look.Properties]
Panel = builder.Builder[models.Panel]
AnyPanel = TypeVar("AnyPanel", stat.Panel, timeseries.Panel, bargauge.Panel, table.Panel, heatmap.Panel)


class Query(variants.Dataquery):
    """A query of the ClickHouse plugin; the SDK has no type for it."""

    def __init__(self, sql: str, kind: str, ref_id: str = "A") -> None:
        self.sql = sql
        self.kind = kind
        self.ref_id = ref_id

    def to_json(self) -> dict[str, object]:
        """Return the target's JSON; without the version, the editor would treat it as an old query and rewrite it."""
        return {
            "refId": self.ref_id,
            "datasource": SOURCE,
            "editorType": "sql",
            "queryType": self.kind,
            "format": FORMATS[self.kind],
            "pluginVersion": names.PLUGIN_VERSION,
            "meta": {},
            "rawSql": self.sql,
        }


class QueryBuilder(builder.Builder[variants.Dataquery]):
    """The query as a builder, as the SDK's panels need it."""

    def __init__(self, sql: str, kind: str, ref_id: str = "A") -> None:
        self.query = Query(sql.strip(), kind, ref_id)

    def build(self) -> variants.Dataquery:
        """Return the query."""
        return self.query


@dataclasses.dataclass(frozen=True)
class About:
    """The settings of every panel: an id that is never reused, texts, size and unit."""

    id: int
    title: str
    description: str
    width: int
    height: int = 8
    unit: str = look.COUNT
    empty: str = "No data"
    # Whether the axis of a graph of shares ends at 100 %; False shows small shares better.
    whole: bool = True
    # The shortest $__interval.
    interval: str = ""
    # Title and uid of the dashboard where the next question is answered.
    next: tuple[str, str] | None = None


def _panel(panel: AnyPanel, about: About, sql: str, kind: str, overrides: Overrides | None) -> AnyPanel:
    panel = (
        panel.id(about.id)
        .title(about.title)
        .description(" ".join(about.description.split()))
        .datasource(SOURCE)
        .span(about.width)
        .height(about.height)
        .unit(about.unit)
        .no_value(about.empty)
        .with_target(QueryBuilder(sql, kind))
    )
    if about.interval:
        panel = panel.interval(about.interval)
    if about.next:
        panel = panel.links([look.next_link(*about.next)])
    if about.unit == look.RATE:
        panel = panel.min(0).decimals(1)
        panel = panel.max(1) if about.whole else panel
    elif about.unit == look.COUNT:
        panel = panel.min(0).decimals(0)
    elif about.unit == look.MILLISECONDS:
        panel = panel.min(0).decimals(1)
    elif about.unit in (look.MINUTES, look.HOURS):
        panel = panel.min(0)
    for column, properties in (overrides or {}).items():
        panel = panel.override_by_name(column, look.options(properties))
    return panel


def _text(name: int, value: int) -> common_builders.VizTextDisplayOptions:
    # With Grafana's automatic size, each number has a different size, and names are cut off.
    return common_builders.VizTextDisplayOptions().title_size(name).value_size(value)


def _first_row() -> common_builders.ReduceDataOptions:
    # Not lastNotNull: NULL must be shown as "no data".
    return common_builders.ReduceDataOptions().calcs(["last"]).fields("/.*/").values(False)


def number(
    about: About,
    sql: str,
    thresholds: dashboard_builders.ThresholdsConfig | None = None,
    overrides: Overrides | None = None,
    *,
    size: int = 24,
    mappings: Sequence[models.ValueMapping] = (),
) -> Panel:
    """Return the columns of one row as large numbers, with names if there are several."""
    names_too = common.BigValueTextMode.VALUE_AND_NAME if overrides else common.BigValueTextMode.VALUE
    return (
        _panel(stat.Panel(), about, sql, "table", overrides)
        .reduce_options(_first_row())
        .mappings([*mappings])
        .thresholds(thresholds or look.steps(look.NEUTRAL))
        .color_scheme(dashboard_builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
        .graph_mode(common.BigValueGraphMode.NONE)
        .color_mode(common.BigValueColorMode.VALUE)
        .text_mode(names_too)
        .justify_mode(common.BigValueJustifyMode.AUTO)
        .orientation(common.VizOrientation.VERTICAL)
        .text(_text(13, size))
        .wide_layout(False)
    )


def compared(
    about: About, sql: str, *, more_is: str, thresholds: dashboard_builders.ThresholdsConfig | None = None
) -> Panel:
    """Return a number, its previous value and the change; a rise is ``better``, ``worse`` or ``neutral``."""
    up, down = {
        "better": (look.GOOD, look.BAD),
        "worse": (look.BAD, look.GOOD),
        "neutral": (look.NEUTRAL, look.NEUTRAL),
    }[more_is]
    plain: look.Properties = {"noValue": "-", "thresholds": look.steps(look.NEUTRAL).build()}
    overrides: Overrides = {
        "now": {"displayName": "Now"},
        "before": {"displayName": "Before", **plain},
        "change": {
            "displayName": "Change",
            "unit": look.TEXT,
            **plain,
            "mappings": look.sentences({"▲": up, "▼": down}),
        },
    }
    return number(about, sql, thresholds, overrides, size=20)


def lines(
    about: About,
    sql: str,
    overrides: Overrides,
    *,
    limit: dashboard_builders.ThresholdsConfig | None = None,
) -> Panel:
    """Return one line for each numeric column; ``limit`` is a dashed line.

    The legend has no mean: the mean of the daily shares is not the share of all days.
    """
    panel = (
        _panel(timeseries.Panel(), about, sql, "timeseries", overrides)
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.AUTO)
        # A day without decisions has no share; the line continues at the next day with one.
        .span_nulls(True)
        .color_scheme(dashboard_builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(look.legend() if len(overrides) > 1 else look.no_legend())
        .tooltip(look.tooltip())
    )
    if limit:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(limit).thresholds_style(style)
    return panel


def stacked(about: About, sql: str, overrides: Overrides | None = None) -> Panel:
    """Return one bar for each day, with the columns stacked."""
    return (
        _panel(timeseries.Panel(), about, sql, "timeseries", overrides)
        .draw_style(common.GraphDrawStyle.BARS)
        .line_width(0)
        .fill_opacity(85)
        .bar_width_factor(0.8)
        # A bar covers its day; by default it would be centred on the midnight at the day's start.
        .bar_alignment(common.BarAlignment.AFTER)
        .stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
        .color_scheme(dashboard_builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(look.legend("sum"))
        # Without this, the axis would end at 100 if all days are zero.
        .axis_soft_max(1)
        .tooltip(look.tooltip())
    )


def bars(about: About, sql: str, overrides: Overrides | None = None) -> Panel:
    """Return one horizontal bar for each column of one row."""
    return (
        _panel(bargauge.Panel(), about, sql, "table", overrides)
        .reduce_options(_first_row())
        .orientation(common.VizOrientation.HORIZONTAL)
        .display_mode(common.BarGaugeDisplayMode.BASIC)
        .value_mode(common.BarGaugeValueMode.TEXT)
        .name_placement(common.BarGaugeNamePlacement.LEFT)
        .text(_text(11, 18))
        .show_unfilled(True)
    )


def rows(about: About, sql: str, overrides: Overrides | None = None) -> Panel:
    """Return a table of the query's rows; columns are text unless an override says something else."""
    return (
        # Text by default: as a number, version 2.0 would be shown as 2.
        _panel(table.Panel(), dataclasses.replace(about, unit=look.TEXT), sql, "table", overrides)
        .show_header(True)
        .cell_height(common.TableCellHeight.SM)
        # With Grafana's default of 150, a table in a third of 1280 pixels would need a scroll bar.
        .min_width(70)
        .filterable(False)
        .align(common.FieldTextAlignment.AUTO)
    )


def density(about: About, sql: str) -> Panel:
    """Return a heat map: a column for each time, a row for each numeric column, the first at the bottom."""
    return (
        _panel(heatmap.Panel(), about, sql, "timeseries", None)
        .calculate(False)
        .rows_frame(heatmap.RowsHeatmapOptions().layout(common.HeatmapCellLayout.UNKNOWN).value("Decisions"))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heatmap_models.HeatmapColorMode.SCHEME)
            .scheme("Blues")
            .fill("dark-blue")
            .scale(heatmap_models.HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .reverse(False)
        )
        .cell_gap(1)
        .cell_values(heatmap.CellValues().unit(look.COUNT).decimals(0))
        .y_axis(heatmap.YAxisConfig().axis_placement(common.AxisPlacement.LEFT).reverse(False))
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .show_legend()
        .tooltip(
            heatmap.HeatmapTooltip().mode(common.TooltipDisplayMode.SINGLE).y_histogram(False).show_color_scale(True)
        )
    )


def gauge(*limits: tuple[float, str]) -> look.Properties:
    """Return the options of a table's column of shares: bars in the cells, coloured by limits."""
    cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
    colours = look.step_options(look.BAR, *((at, colour if colour == look.BAD else look.BAR) for at, colour in limits))
    return {
        "unit": look.RATE,
        "min": 0,
        "max": 1,
        "decimals": 1,
        "custom.cellOptions": cell,
        **look.MISSING,
        **colours,
    }
