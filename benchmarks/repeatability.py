"""Two latency tables of the same layers, compared entry by entry."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.rows import RowFile
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from tflite_bench.errors import UserError
from tflite_bench.latency_table import LatencyTable

_COLUMNS = ("signature", "first_ms", "second_ms", "difference")


def is_full(latency: Latency, network: DeployedNetwork, widths: Sequence[Widths]) -> bool:
    """Whether the table holds every layer of these widths."""
    return all(signature in latency.table for which in widths for signature in network.signatures(which))


def compare_tables(first: LatencyTable, second: LatencyTable, path: Path) -> str:
    """Writes both readings of every entry to a CSV file, anew, and says how far they lie apart.

    Raises:
        UserError: the tables have no entry in common, or the file cannot be written.
    """
    signatures = [signature for signature in first.signatures() if signature in second]
    first_at, second_at = first.measured_at(), second.measured_at()
    if not signatures or first_at is None or second_at is None:
        raise UserError("the two tables have no entry in common; name another folder with --output")
    path.unlink(missing_ok=True)
    file = RowFile(path, _COLUMNS)
    for signature in signatures:
        pair_ms = first.latency_ms(signature), second.latency_ms(signature)
        file.add(dict(zip(_COLUMNS, (signature, *pair_ms, difference(*pair_ms)), strict=True)))
    sizes = np.abs([float(row["difference"]) for row in file.rows])
    return (
        f"{sizes.size} entries, {(second_at - first_at).total_seconds() / 60:.0f} minutes between the ends of filling: "
        f"median difference {np.median(sizes):.2%}, 90th percentile {np.percentile(sizes, 90):.1%}, "
        f"largest {sizes.max():.1%}"
    )


def difference(first_ms: float, second_ms: float) -> float:
    """The second over the first, less one; 0 where both are 0."""
    if first_ms == second_ms:
        return 0.0
    return second_ms / first_ms - 1 if first_ms else float("inf")
