"""Options for Java programs that share a machine with the whole stack."""

from __future__ import annotations

SERIAL_GC = "-XX:+UseSerialGC"
"""The default collector works beside the program, which costs a fifth of a task manager's processor time."""
FRUGAL = ("-XX:TieredStopAtLevel=1", SERIAL_GC)
"""No second compiler either: for what does little, or ends soon, it does not earn what it costs."""
