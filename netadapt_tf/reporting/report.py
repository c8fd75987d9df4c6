"""The report: one HTML file that needs nothing else, made of run directories alone."""

from collections.abc import Sequence
from pathlib import Path

from netadapt_tf.reporting.account import account_of, names_of
from netadapt_tf.reporting.comparison import comparison_of
from netadapt_tf.reporting.html_page import html_of
from netadapt_tf.reporting.page import Page
from netadapt_tf.reporting.run_record import RunRecord, read_run
from tflite_bench.errors import UserError
from tflite_bench.whole_file import write_whole


def write_report(run_dirs: Sequence[Path], output: Path) -> None:
    """Writes a report of one run, or of several together, whole or not at all.

    Args:
        run_dirs: run directories, finished or not; one at least.
        output: the file.

    Raises:
        UserError: a folder is no run directory, or the file cannot be written.
    """
    if output.is_dir():
        raise UserError(f"the report cannot be written to {output}, which is a folder; name a file in it")
    html = html_of(page_of([read_run(path) for path in run_dirs]))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_whole(output, html.encode())
    except OSError as error:
        raise UserError(f"the report {output} cannot be written: {error}") from error


def page_of(runs: Sequence[RunRecord]) -> Page:
    """What a report says."""
    names = names_of(runs)
    accounts = [
        account_of(run, f"run-{number}", name) for number, (run, name) in enumerate(zip(runs, names, strict=True), 1)
    ]
    if len(runs) == 1:
        return Page(f"{runs[0].network}, adapted: {names[0]}", [], accounts)
    return Page(f"{len(runs)} adaptations side by side", comparison_of(runs, names), accounts)
