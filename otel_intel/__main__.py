"""``python -m otel_intel`` is the command ``otel-intel``."""

from __future__ import annotations

from .commands.main import main

main(prog_name="otel-intel")
