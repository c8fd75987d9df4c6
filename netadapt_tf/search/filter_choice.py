"""Which filters: those of the largest norm (NetAdapt, ChooseWhichFilters)."""

from collections.abc import Sequence

import numpy as np


def l2_norms(kernels: Sequence[np.ndarray]) -> np.ndarray:
    """The score of each filter: the root of its squared weights summed over all kernels that write it.

    Args:
        kernels: each [..., in, filters].

    Returns:
        float64 [filters].
    """
    return np.sqrt(
        sum(np.square(kernel, dtype=np.float64).sum(axis=tuple(range(kernel.ndim - 1))) for kernel in kernels)
    )


def strongest(scores: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` highest scores, ascending; of equal scores the first ones."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])
