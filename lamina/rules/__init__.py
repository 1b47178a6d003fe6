"""Rules, thresholds and costs as data: what serving decides by, and what training measures policies with."""
