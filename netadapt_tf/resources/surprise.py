"""A measurement that is far from what was expected is made again: machines are disturbed, and tables err."""

import time
from collections.abc import Callable

from absl import logging

from netadapt_tf.resources.resource import Measurement

_SURPRISE = 0.05
_PAUSES_S = (2.0, 4.0)
"""Before a disturbed measurement is made again; on a virtual machine disturbances were seen to last for six seconds."""


def settled(
    measure: Callable[[], Measurement],
    expected_ratio: float | None,
    usual_start: float | None,
    what: str,
    pause: Callable[[float], None] = time.sleep,
) -> Measurement:
    """A measurement that two kinds of surprise cannot spoil.

    Where the starting network, which is measured in turn with the other, costs over 5 % more than it usually does, the
    device is disturbed. Not all networks bear the same share of that: what made a starting network 16 % slower was seen
    to make one of half its latency 27 % slower. So it is measured again, twice at most, after a pause; of these the one
    in which the starting network costs least counts.

    Where the ratio is then more than 5 % off what was expected, it is measured twice more, and the middle one of the
    three counts. Where the expectation was wrong, measuring again says the same.

    Neither is in a measurement's spread, as a disturbance may last as long as that.

    Args:
        measure: measures once.
        expected_ratio: to the starting network's cost; None where nothing is expected.
        usual_start: what the starting network costs on a quiet device; None where that is not known.
        what: is measured, for the log.
        pause: waits for so many seconds.
    """

    def calm() -> Measurement:
        return _calm(measure, usual_start, what, pause)

    first = calm()
    off = _ratio(first) / expected_ratio - 1 if expected_ratio else 0.0
    if not _SURPRISE < abs(off) < float("inf"):
        return first
    logging.info(
        "%s is %.0f %% %s than expected; it is measured twice more, and the middle one counts.",
        what,
        100 * abs(off),
        "more" if off > 0 else "less",
    )
    return sorted([first, calm(), calm()], key=_ratio)[1]


def _calm(
    measure: Callable[[], Measurement], usual_start: float | None, what: str, pause: Callable[[float], None]
) -> Measurement:
    """That of up to three measurements in which the starting network costs least; the first that is not disturbed."""
    best = measure()
    for pause_s in _PAUSES_S:
        if not usual_start or best.start <= (1 + _SURPRISE) * usual_start:
            break
        logging.info(
            "%s: the starting network took %.0f %% longer than at first, so the device is disturbed; measuring again.",
            what,
            100 * (best.start / usual_start - 1),
        )
        pause(pause_s)
        best = min(best, measure(), key=lambda one: one.start)
    return best


def _ratio(measurement: Measurement) -> float:
    return measurement.value / measurement.start
