"""Which filters stay: the scores of a channel group's filters, and the best of them (NetAdapt, ChooseWhichFilters).

A channel that several layers write has a filter in each; its score is the root of the summed squares of theirs.
"""

from collections.abc import Sequence

import numpy as np

CRITERIA = ("l2", "bn_scale", "taylor", "random")
"""How filters can be scored."""


def l2_norms(kernels: Sequence[np.ndarray]) -> np.ndarray:
    """The size of the weights (Li et al., 2017, with the squares that NetAdapt takes).

    Args:
        kernels: of all layers that write the group, each [..., filters].

    Returns:
        float64 [filters].
    """
    return _root_of_sum(
        [np.square(kernel, dtype=np.float64).sum(axis=tuple(range(kernel.ndim - 1))) for kernel in kernels]
    )


def scale_norms(scales: Sequence[np.ndarray]) -> np.ndarray:
    """The size of the scales by which batch norms multiply what is written (Network Slimming, Liu et al., 2017).

    Args:
        scales: of the batch norms behind all layers that write the group, each [filters].

    Returns:
        float64 [filters].
    """
    return _root_of_sum([np.square(scale, dtype=np.float64) for scale in scales])


def taylor_norms(effects: Sequence[np.ndarray]) -> np.ndarray:
    """By how much the loss would change, to first order, if a filter wrote nothing (Molchanov et al., 2019, eq. 8).

    Args:
        effects: of all layers that write the group, each [batches, filters]: a batch's gradient of the loss by what a
            filter writes, times what it writes, summed over the batch and all places; which is the gradient by a gate
            that all of it passes, open at 1.

    Returns:
        float64 [filters]; squares are averaged over the batches.
    """
    return _root_of_sum([np.square(effect, dtype=np.float64).mean(axis=0) for effect in effects])


def random_scores(filters: int, seed: int) -> np.ndarray:
    """Scores that know nothing: what the others have to beat (Mittal et al., 2018).

    Returns:
        float64 [filters].
    """
    return np.random.default_rng(seed).random(filters)


def strongest(scores: np.ndarray, count: int) -> np.ndarray:
    """Indices of the `count` highest scores, ascending; of equal scores the first ones."""
    return np.sort(np.argsort(-scores, kind="stable")[:count])


def _root_of_sum(squares: Sequence[np.ndarray]) -> np.ndarray:
    return np.sqrt(np.sum(squares, axis=0))
