"""The MorphNet-style rows of a comparison: one training with the regulariser for each seed serves all budgets."""

import json
from collections.abc import Sequence
from pathlib import Path

import tf_keras

from benchmarks.comparison_searches import Found
from benchmarks.processor_time import counted, minutes
from benchmarks.scale_regulariser import channel_costs, regularise
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.networks.files import load_network, save_network
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.resources.latency import Latency
from netadapt_tf.settings import Settings
from netadapt_tf.training.datasets import Datasets
from tflite_bench.convert import convert
from tflite_bench.host import HostMeter
from tflite_bench.latency_table import default_table
from tflite_bench.target import Target
from tflite_bench.timing import Pair
from tflite_bench.whole_file import write_whole

_LEARNING_RATE_SHARE = 0.4  # of the long-term fine-tune's first, which that falls below halfway


def regularised(
    folder: Path,
    start: tf_keras.Model,
    datasets: Datasets,
    settings: Settings,
    target: Target,
    table: str | None,
    percents: Sequence[int],
    percent: int,
) -> Found:
    """What the regulariser made of the starting network when it met a budget.

    Args:
        folder: where the networks are kept; made where it is not there.
        start: the pre-trained network.
        datasets: what to learn from.
        settings: of the comparison, with the seed.
        target: where latency is measured.
        table: file of the latency table.
        percents: all budgets, the largest first.
        percent: one of them.
    """
    folder.mkdir(exist_ok=True)
    about, clock = folder / "regularised.json", folder / "regularised.minutes"
    if not about.exists():
        widths = find_channels(start).widths
        deployed = DeployedNetwork(convert(start), find_channels(start).groups)
        with HostMeter(target) as meter:
            costs = channel_costs(
                widths, Latency(deployed, widths, target, meter, Path(table) if table else default_table()).predict
            )

            def ratio(narrower: Widths) -> float:
                return meter.compare(Pair(deployed.resized(widths), deployed.resized(narrower))).ratio

            with counted(clock):
                found = regularise(
                    start,
                    datasets.long_term,
                    settings.seed + 1,
                    _LEARNING_RATE_SHARE * settings.pretrain_learning_rate,
                    costs,
                    settings.filter_multiple,
                    ratio,
                    percents,
                )
        most = max(result.steps for result in found.values())
        for number, result in found.items():
            save_network(result.network, _path(folder, number))
        figures = {
            number: {"steps": result.steps, "minutes": minutes(clock) * result.steps / most}
            for number, result in found.items()
        }
        write_whole(about, (json.dumps(figures, indent=2) + "\n").encode())
    figures = json.loads(about.read_text())[str(percent)]
    network = load_network(_path(folder, percent))
    return Found(network, find_channels(network).widths, figures["steps"], figures["minutes"])


def _path(folder: Path, percent: int) -> Path:
    return folder / f"regularised_{percent}.keras"
