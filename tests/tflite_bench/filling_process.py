"""A process that fills a table with a network's layers, and says of each reading when it was taken.

python -m tests.tflite_bench.filling_process NETWORK.tflite TABLE NAME START_S [WIDTHS]

With widths, of the layer `first`, it is only the layers that differ between them.
"""

import sys
import time
from pathlib import Path

from tests.fake_meter import FakeMeter
from tflite_bench import table_filling
from tflite_bench.graph import Graph
from tflite_bench.latency_table import Context, Entry, LatencyTable
from tflite_bench.layer_signature import layer_signature
from tflite_bench.sizing import sized
from tflite_bench.table_filling import Caches, fill
from tflite_bench.timing import Job, Reading

CONTEXT = Context("host/cpu:1", {}, "warm", "median")
OWN_ENTRIES = 50
_JOB_S = 0.02


class SlowMeter(FakeMeter):
    def time(self, job: Job) -> Reading:
        begin = time.monotonic()
        time.sleep(_JOB_S)
        reading = super().time(job)
        print(f"{begin} {time.monotonic()} {len(self.jobs)}", flush=True)
        return reading


def main(network: str, path: str, name: str, start_s: str, widths: str = "") -> None:
    graph = Graph(Path(network).read_bytes())
    layers = {layer_signature(graph, layer): layer for layer in sized(graph, {})}
    if widths:
        narrower = [layer for width in widths.split(",") for layer in sized(graph, {"first": int(width)})]
        layers = {s: layer for layer in narrower if (s := layer_signature(graph, layer)) not in layers}
    time.sleep(max(0.0, float(start_s) - time.time()))
    table_filling._BATCH = 2
    table = LatencyTable(Path(path), CONTEXT)
    fill(table, SlowMeter(), graph, layers, Caches(graph.constant_bytes))
    for number in range(OWN_ENTRIES):
        table.add([Entry(f"{name} {number}", Reading(1.0, 1.0, 1.0, 1), 1.0)])


if __name__ == "__main__":
    main(*sys.argv[1:])
