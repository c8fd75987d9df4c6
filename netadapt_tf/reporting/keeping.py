"""What a run directory is given to be read by people; no failure here is the adaptation's."""

from absl import logging

from netadapt_tf.layer_latencies import layers_record
from netadapt_tf.networks.channel_groups import Widths
from netadapt_tf.search.file_names import LAYERS, REPORT
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.start import Costs, Start


def keep_layers(run: RunDirectory, start: Start, costs: Costs, widths: Widths, filter_multiple: int) -> None:
    """Writes `layers.json`, what the latency table knows and the report shows, as long as the table is at hand.

    Args:
        run: where.
        start: the starting network.
        costs: its latency on every target.
        widths: of the adapted network.
        filter_multiple: see `candidate_filters`.
    """
    try:
        record = {
            str(target): layers_record(start, latency, widths, filter_multiple)
            for target, latency in costs.latency.items()
        }
        run.write_json(LAYERS, record)
    except Exception as error:
        logging.warning("layers.json is not written (%s); the report will lack the latency of layers.", error)


def keep_report(run: RunDirectory) -> None:
    """Writes the report of a run."""
    try:
        from netadapt_tf.reporting.report import write_report

        write_report([run.path], run.file(REPORT))
    except Exception as error:
        logging.warning("The report is not written (%s); python -m netadapt_tf.report %s tries again.", error, run.path)
