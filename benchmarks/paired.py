"""How sure a difference in accuracy is, when both networks answered the same test images."""

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
    """Accuracy of one network less another's, by a paired bootstrap over the test images (Efron & Tibshirani, 1993).

    An image can only count for one, for the other, or for neither, so that resampling images is drawing these
    three counts from a multinomial distribution.

    Args:
        right: bool [N], which images the one network classifies rightly.
        other_right: bool [N], the other.
        seed: of the resampling.
    """
    total = len(right)
    won, lost = int(np.sum(right & ~other_right)), int(np.sum(other_right & ~right))
    shares = np.array([won, lost, total - won - lost]) / total
    counts = np.random.default_rng(seed).multinomial(total, shares, _RESAMPLES)  # [resamples, 3]
    points = 100 * (counts[:, 0] - counts[:, 1]) / total
    tail = 100 * (1 - _CONFIDENCE) / 2
    low, high = np.percentile(points, [tail, 100 - tail])
    return Difference(100 * (won - lost) / total, float(low), float(high))
