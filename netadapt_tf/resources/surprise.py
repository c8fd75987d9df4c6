"""A measurement that is far from what was expected is made again: machines are disturbed, and tables err."""

from collections.abc import Callable

from absl import logging

from netadapt_tf.resources.resource import Measurement

_SURPRISE = 0.05


def settled(measure: Callable[[], Measurement], expected_ratio: float | None, what: str) -> Measurement:
    """The measurement; where it is more than 5 % off what was expected, the middle one of three.

    A disturbance that lasts as long as a measurement is not in its spread. Where the expectation was wrong, measuring
    again says the same.

    Args:
        measure: measures once.
        expected_ratio: to the starting network's cost; None where nothing is expected.
        what: is measured, for the log.
    """
    first = measure()
    off = _ratio(first) / expected_ratio - 1 if expected_ratio else 0.0
    if not _SURPRISE < abs(off) < float("inf"):
        return first
    logging.info(
        "%s is %.0f %% %s than expected; it is measured twice more, and the middle one counts.",
        what,
        100 * abs(off),
        "more" if off > 0 else "less",
    )
    return sorted([first, measure(), measure()], key=_ratio)[1]


def _ratio(measurement: Measurement) -> float:
    return measurement.value / measurement.start
