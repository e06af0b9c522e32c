"""``python -m otel_intel`` is the command ``otel-intel``."""

from __future__ import annotations

from .cli import main

main(prog_name="otel-intel")
