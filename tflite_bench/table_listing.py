"""A latency table as a person reads it."""

from collections.abc import Sequence

import numpy as np

from tflite_bench.adapter import SOFTWARE, is_software
from tflite_bench.latency_table import Context, Entry


def listing(context: Context, entries: Sequence[Entry]) -> str:
    """Provenance, figures over all entries, and one line for each."""
    dates = [entry.measured_at for entry in entries]
    spreads = [
        (entry.reading.p95_ms - entry.reading.p5_ms) / entry.reading.latency_ms
        for entry in entries
        if entry.reading.latency_ms > 0
    ]
    flagged = sum(entry.flagged for entry in entries)
    device = f"{context.target} ({SOFTWARE} driver)" if is_software(context.fingerprint) else context.target
    lines = [
        f"{device}: {len(entries)} entries, measured {min(dates)[:16]} to {max(dates)[:16]} (UTC)",
        *(f"  {key}: {value}" for key, value in sorted(context.fingerprint.items())),
        f"  caches: {context.caches}",
        f"  statistic: {context.statistic}",
        f"  spread (p5 to p95, median over the entries): {np.median(spreads) if spreads else 0:.1%}",
        f"  flagged (! below; the reference network drifted by more than was allowed): {flagged}",
        f"  {'ms':>9}  {'p5':>9}  {'p95':>9}    layer",
    ]
    for entry in entries:
        reading = entry.reading
        mark = "!" if entry.flagged else " "
        lines.append(
            f"  {reading.latency_ms:9.4f}  {reading.p5_ms:9.4f}  {reading.p95_ms:9.4f}  {mark} {entry.signature}"
        )
    return "\n".join(map(_printable, lines))


def _printable(line: str) -> str:
    """The line with what would act on a terminal written out: imported text may hold anything."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)
