"""The risk signals."""

from __future__ import annotations

from django.apps import AppConfig


class RiskConfig(AppConfig):
    """The risk signals."""

    name = "demo.risk"
    label = "risk"
