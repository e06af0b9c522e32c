from __future__ import annotations

import subprocess
import sys

HANDLER = """
import os, signal
from otel_intel.delivery import endings
signal.signal(signal.SIGHUP, lambda number, frame: print(number == signal.SIGHUP, frame is not None))
endings.follow_signals()
os.kill(os.getpid(), signal.SIGHUP)
"""


def test_the_applications_handler_gets_what_the_system_gave() -> None:
    result = subprocess.run([sys.executable, "-c", HANDLER], capture_output=True, text=True, check=True)
    assert result.stdout == "True True\n"
