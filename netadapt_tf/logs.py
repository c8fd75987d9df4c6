"""What callers from Python are told while an adaptation goes on."""

import logging as standard_logging
from pathlib import Path

from absl import logging

import tflite_bench
from tflite_bench.log_lines import tell_own, tell_sentences

_OWN_FOLDERS = (Path(__file__).parent, Path(tflite_bench.__path__[0]))


def log_progress() -> None:
    """Says on standard error what is being done, in sentences, as the binaries do; of other packages only warnings.

    For notebooks and scripts, which else see nothing but warnings.
    """
    handler = standard_logging.StreamHandler()
    tell_sentences(handler)
    tell_own(handler, _OWN_FOLDERS)
    logger = logging.get_absl_logger()
    logger.handlers = [handler]
    logger.propagate = False  # notebooks have handlers of their own at the root, which would say it again
    logging.set_verbosity(logging.INFO)
    standard_logging.getLogger("tensorflow").addFilter(_is_warning)  # its start would set another level


def _is_own(record: standard_logging.LogRecord) -> bool:
    return any(Path(record.pathname).is_relative_to(folder) for folder in _OWN_FOLDERS)


def _is_warning(record: standard_logging.LogRecord) -> bool:
    return record.levelno >= standard_logging.WARNING
