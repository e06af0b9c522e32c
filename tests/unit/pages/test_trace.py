from __future__ import annotations

from otel_intel.pages.trace import WIDTH, Span, waterfall


def _span(span_id: str, parent: str, start_ms: float, duration_ms: float) -> Span:
    return Span(span_id, parent, span_id, "Internal", "shop", int(start_ms * 1e6), duration_ms, "Unset", "", "", "")


def test_no_spans_draw_nothing() -> None:
    assert waterfall([]) == []


def test_spans_lie_within_the_request() -> None:
    bars = waterfall([_span("root", "", 0, 100), _span("child", "root", 25, 50), _span("grandchild", "child", 30, 5)])
    assert [(bar.depth, bar.x, bar.width) for bar in bars] == [(0, 0, 1000), (1, 250, 500), (2, 300, 50)]


def test_the_shortest_span_can_be_seen_and_none_sticks_out() -> None:
    bars = waterfall([_span("root", "", 0, 100), _span("blip", "root", 99.999, 0.0001)])
    assert bars[1].width >= 4
    assert all(bar.x + bar.width <= WIDTH for bar in bars)


def test_a_span_whose_parent_was_not_kept_stands_at_the_top() -> None:
    [bar] = waterfall([_span("orphan", "elsewhere", 5, 1)])
    assert (bar.depth, bar.x, bar.width) == (0, 0, WIDTH)
