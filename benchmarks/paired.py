"""How sure a difference in accuracy is, when both networks answered the same test images."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 10_000
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """A difference of two accuracies, in points, and the interval that holds it with 95 % confidence."""

    points: float
    low: float
    high: float

    @property
    def resolved(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        verdict = "" if self.resolved else ", not resolvable"
        return f"{self.points:+.2f} ({self.low:+.2f} to {self.high:+.2f}{verdict})"


def paired_difference(right: np.ndarray, other_right: np.ndarray, seed: int = 0) -> Difference:
    """Accuracy of one kind of network less another's, by a paired bootstrap (Efron & Tibshirani, 1993).

    Test images are resampled, the same for all networks, and so are the seeds that the networks were trained with.
    An image counts for one kind, for the other, or for neither, once for each seed; so that resampling images is
    drawing how many count how often from a multinomial distribution.

    Args:
        right: bool [N] or [seeds, N], which images the one kind's networks classify rightly.
        other_right: the same of the other's, trained with the same seeds.
        seed: of the resampling.
    """
    won = np.atleast_2d(right).astype(np.int8) - np.atleast_2d(other_right).astype(np.int8)  # [seeds, N]
    seeds, total = won.shape
    generator = np.random.default_rng(seed)
    draws = np.sort(generator.integers(0, seeds, (_RESAMPLES, seeds)), axis=1)
    points = []
    for draw, times in Counter(map(tuple, draws)).items():
        of_image = won[list(draw)].sum(axis=0, dtype=int)  # [N], from -seeds to seeds
        values, counts = np.unique(of_image, return_counts=True)
        drawn = generator.multinomial(total, counts / total, times)  # [times, values]
        points.append(100 * (drawn @ values) / (total * seeds))
    low, high = interval(np.concatenate(points))
    return Difference(float(100 * won.mean()), low, high)


def interval(resampled: np.ndarray) -> tuple[float, float]:
    """What holds 95 % of the resampled values."""
    tail = 100 * (1 - _CONFIDENCE) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)
