"""Panels of each kind, with what they have in common: id, description, data source, size, text for no data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import barchart, bargauge, heatmap, stat, table, timeseries
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
AnyPanel = TypeVar("AnyPanel", stat.Panel, timeseries.Panel, barchart.Panel, bargauge.Panel, table.Panel, heatmap.Panel)


class Query(variants.Dataquery):
    """A query of the ClickHouse plugin, which the SDK has no type for."""

    def __init__(self, sql: str, kind: str, ref_id: str = "A") -> None:
        self.sql = sql
        self.kind = kind
        self.ref_id = ref_id

    def to_json(self) -> dict[str, object]:
        """Return the target's JSON; without the version the editor takes it for an old one and rewrites it."""
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
    """The builder that the SDK's panels take."""

    def __init__(self, sql: str, kind: str, ref_id: str = "A") -> None:
        self.query = Query(sql.strip(), kind, ref_id)

    def build(self) -> variants.Dataquery:
        """Return the query."""
        return self.query


@dataclass(frozen=True)
class About:
    """What each panel has: an id that is never given to another one, words, a place's size and a unit."""

    id: int
    title: str
    description: str
    width: int
    height: int = 8
    unit: str = look.COUNT
    empty: str = "No data"
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
        panel = panel.min(0).max(1).decimals(1)
    elif about.unit == look.COUNT:
        # An axis may round; a figure that is to be compared with another one may not.
        panel = panel.min(0) if kind == "timeseries" else panel.min(0).unit("none").decimals(0)
    elif about.unit in (look.MILLISECONDS, look.HOURS, look.BYTES):
        panel = panel.min(0).decimals(1)
    for column, properties in (overrides or {}).items():
        panel = panel.override_by_name(column, look.options(properties))
    return panel


def _first_row() -> common_builders.ReduceDataOptions:
    # Not the last one that is not null: what is NULL has to read "no data".
    return common_builders.ReduceDataOptions().calcs(["last"]).fields("/.*/").values(False)


def number(
    about: About,
    sql: str,
    thresholds: dashboard_builders.ThresholdsConfig | None = None,
    overrides: Overrides | None = None,
    *,
    beside: bool = False,
    mappings: Sequence[models.ValueMapping] = (),
) -> Panel:
    """Return the columns of one row as large figures, with names if there are several."""
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
        .orientation(common.VizOrientation.VERTICAL if beside else common.VizOrientation.HORIZONTAL)
        .wide_layout(False)
    )


def compared(
    about: About, sql: str, *, more_is: str, thresholds: dashboard_builders.ThresholdsConfig | None = None
) -> Panel:
    """Return a number, the one before and the change; more of it is ``better``, ``worse`` or ``neutral``."""
    up, down = {
        "better": (look.GOOD, look.BAD),
        "worse": (look.BAD, look.GOOD),
        "neutral": (look.NEUTRAL, look.NEUTRAL),
    }[more_is]
    overrides: Overrides = {
        "now": {"displayName": "Now"},
        "before": {"displayName": "Before", "noValue": "-", "thresholds": look.steps(look.NEUTRAL).build()},
        "change": {
            "displayName": "Change",
            "unit": "string",
            "noValue": "-",
            "mappings": look.sentences({"▲": up, "▼": down}),
        },
    }
    return number(about, sql, thresholds, overrides)


def lines(
    about: About,
    sql: str,
    overrides: Overrides | None = None,
    *,
    calculations: Sequence[str] = ("mean", "lastNotNull"),
    limit: dashboard_builders.ThresholdsConfig | None = None,
) -> Panel:
    """Return one line for each numeric column, or each value of a text column; ``limit`` is a dashed line."""
    panel = (
        _panel(timeseries.Panel(), about, sql, "timeseries", overrides)
        .draw_style(common.GraphDrawStyle.LINE)
        .line_width(2)
        .fill_opacity(0)
        .show_points(common.VisibilityMode.AUTO)
        # A day without decisions has no share; the line goes on at the next day that has.
        .span_nulls(True)
        .color_scheme(dashboard_builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(look.legend(*calculations))
        .tooltip(look.tooltip())
    )
    if limit:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(limit).thresholds_style(style)
    return panel


def stacked(about: About, sql: str, overrides: Overrides | None = None) -> Panel:
    """Return bars a day, the columns on top of each other."""
    return (
        _panel(timeseries.Panel(), about, sql, "timeseries", overrides)
        .draw_style(common.GraphDrawStyle.BARS)
        .line_width(0)
        .fill_opacity(85)
        .bar_width_factor(0.8)
        .stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
        .color_scheme(dashboard_builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(look.legend("sum", "mean"))
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
        .show_unfilled(True)
    )


def histogram(
    about: About, sql: str, category: str, overrides: Overrides | None = None, *, stacking: bool = False
) -> Panel:
    """Return vertical bars, one group for each value of the text column ``category``."""
    return (
        _panel(barchart.Panel(), about, sql, "table", overrides)
        .x_field(category)
        .orientation(common.VizOrientation.VERTICAL)
        .stacking(common.StackingMode.NORMAL if stacking else common.StackingMode.NONE)
        .show_value(common.VisibilityMode.NEVER)
        .fill_opacity(85)
        .line_width(0)
        .color_scheme(dashboard_builders.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(look.legend("sum"))
        .tooltip(look.tooltip())
    )


def rows(about: About, sql: str, overrides: Overrides | None = None) -> Panel:
    """Return a table of the rows as they come."""
    return (
        _panel(table.Panel(), about, sql, "table", overrides)
        .show_header(True)
        .cell_height(common.TableCellHeight.SM)
        # At Grafana's 150 a table of a third of 1280 pixels would have to be scrolled.
        .min_width(70)
        .filterable(False)
        .align(common.FieldTextAlignment.AUTO)
    )


def density(about: About, sql: str) -> Panel:
    """Return a heat map: a column for each time, a row for each numeric column, in their order from below."""
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


def gauge(unit: str = look.RATE) -> look.Properties:
    """Return the options of a table's column that is drawn as bars in its cells."""
    cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
    return {"unit": unit, "min": 0, "max": 1, "decimals": 1, "custom.cellOptions": cell, **look.MISSING}
