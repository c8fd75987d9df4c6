"""How much slower a width multiplier is that is as accurate as a network: read off the curve of the multipliers."""

from dataclasses import dataclass

import numpy as np

from benchmarks.paired import interval

_RESAMPLES = 2000
_AT_ONCE = 100


@dataclass(frozen=True)
class SpeedUp:
    """Latency of a width multiplier of the same accuracy over that of the network.

    Attributes:
        times: where even the slowest multiplier is less accurate, that one's; so it is then a lower bound.
        low: end of the interval that holds it with 95 % confidence, likewise.
        high: the other end.
        unreached: in which share of the resamples no multiplier is as accurate.
        reached: whether one is, in the data as they are.
    """

    times: float
    low: float
    high: float
    unreached: float
    reached: bool

    def __str__(self) -> str:
        if not self.reached:
            return f"more than {self.times:.2f}x (from {self.low:.2f}x): no multiplier reaches it"
        return f"{self.times:.2f}x ({self.low:.2f} to {self.high:.2f})"


def latency_at(accuracy: float, latencies: np.ndarray, accuracies: np.ndarray) -> float:
    """Latency at which a rising curve first has an accuracy, interpolated; infinite where it never has.

    A slower network can be run as fast as it is, never faster, so noise that makes a slower one less accurate is taken
    out: neighbours in the wrong order share their mean (isotonic regression, pool adjacent violators).

    Args:
        accuracy: that is looked for.
        latencies: of the curve's points, rising.
        accuracies: of the same points.
    """
    rising = isotonic(accuracies)
    if accuracy <= rising[0]:
        return float(latencies[0])
    if accuracy > rising[-1]:
        return float("inf")
    after = int(np.searchsorted(rising, accuracy, side="left"))
    share = (accuracy - rising[after - 1]) / (rising[after] - rising[after - 1])
    return float(latencies[after - 1] + share * (latencies[after] - latencies[after - 1]))


def isotonic(values: np.ndarray) -> np.ndarray:
    """The rising sequence nearest to the values by least squares."""
    blocks: list[tuple[float, int]] = []  # mean and size
    for value in values:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    return np.concatenate([np.full(size, mean) for mean, size in blocks])


def speed_up(
    right: np.ndarray, latency: float, multipliers_right: np.ndarray, latencies: np.ndarray, seed: int = 0
) -> SpeedUp:
    """How many times faster networks are than width multipliers of the same accuracy.

    Test images and seeds are resampled together, as in `paired_difference`.

    Args:
        right: bool [seeds, N], which images the networks have right.
        latency: theirs.
        multipliers_right: bool [points, seeds, N], the same of the multipliers.
        latencies: of the multipliers, [points], rising.
        seed: of the resampling.
    """
    every = np.concatenate([right[None], multipliers_right]).astype(np.float32)  # [1 + points, seeds, N]
    slowest = float(latencies[-1])

    def times(accuracies: np.ndarray) -> float:
        return latency_at(float(accuracies[0]), latencies, accuracies[1:]) / latency

    generator = np.random.default_rng(seed)
    seeds, total = right.shape
    resampled = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        weights = generator.multinomial(total, np.full(total, 1 / total), _AT_ONCE).astype(np.float32)
        of_seed = every @ (weights.T / total)  # [1 + points, seeds, resamples]
        drawn = generator.integers(0, seeds, (_AT_ONCE, seeds))
        resampled += [times(of_seed[:, drawn[at], at].mean(axis=1)) for at in range(_AT_ONCE)]
    values = np.array(resampled)
    bounded = np.minimum(values, slowest / latency)
    own = times(every.mean(axis=(1, 2)))
    low, high = interval(bounded)
    return SpeedUp(
        times=min(own, slowest / latency),
        low=low,
        high=high,
        unreached=float(np.mean(np.isinf(values))),
        reached=bool(np.isfinite(own)),
    )
