r"""Writes the report of an adaptation, or of several together, as one HTML file that needs nothing else.

Of one run, finished or not, into its run directory:

  python -m netadapt_tf.report runs/demo

Of several, side by side:

  python -m netadapt_tf.report runs/demo runs/phone --output=both.html

Every finished run has its report.html already. Only the run directories are read.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tflite_bench.binary import run
from tflite_bench.errors import UserError

_OUTPUT = flags.DEFINE_string("output", None, "The HTML file; of one run by default report.html in its run directory.")


def main(argv: Sequence[str]) -> None:
    """Reads the run directories, writes the report, says where."""
    run_dirs = list(map(Path, argv[1:]))
    if not _OUTPUT.value and len(run_dirs) > 1:
        raise UserError("several runs make one report; name its file with --output")
    from netadapt_tf.reporting.report import write_report
    from netadapt_tf.search.file_names import REPORT

    output = Path(_OUTPUT.value) if _OUTPUT.value else run_dirs[0] / REPORT
    write_report(run_dirs, output)
    print(output)


def entry_point() -> None:
    """The binary, as it is installed."""
    run(main, flag_groups={"The report": (_OUTPUT,)}, arguments="RUN_DIR [RUN_DIR ...]")


if __name__ == "__main__":
    entry_point()
