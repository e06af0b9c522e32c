"""The fixtures that come with the package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import CapturedEvents


@pytest.fixture
def otel_intel_events() -> Iterator[CapturedEvents]:
    """Capture the events of a test instead of sending them; see ``otel_intel.testing``."""
    from .testing import capture_events  # not at the top: coverage starts only after plugins are imported

    with capture_events() as events:
        yield events
