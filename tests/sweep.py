"""Cases of which the slow tests go through some, and a sweep through all."""

from collections.abc import Collection, Hashable, Iterable
from typing import Any

import pytest


def with_sweep(cases: Iterable[Hashable], few: Collection[Hashable]) -> list[Any]:
    """All cases, for `parametrize`; those that are not among the few are marked as a sweep's."""
    cases = list(cases)
    assert set(few) < set(cases)
    return [case if case in few else _swept(case) for case in cases]


def _swept(case: Hashable) -> Any:
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.sweep)
