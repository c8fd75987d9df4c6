"""How the log reads: a time and a sentence a line, and of other packages only what they warn of."""

import logging as standard_logging
from collections.abc import Sequence
from pathlib import Path


def tell_sentences(handler: standard_logging.Handler) -> None:
    """Makes a handler write a time and a sentence for each record."""
    handler.setFormatter(standard_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))


def tell_own(handler: standard_logging.Handler, own_folders: Sequence[Path]) -> None:
    """Makes a handler leave out what other packages log, but for warnings and worse.

    Args:
        handler: of the log.
        own_folders: where the modules are that may say more.
    """
    handler.addFilter(
        lambda record: (
            record.levelno >= standard_logging.WARNING
            or any(Path(record.pathname).is_relative_to(folder) for folder in own_folders)
        )
    )
