from types import SimpleNamespace
from typing import Any

import pytest

from netadapt_tf import adaptation
from netadapt_tf.reporting.summary import Delivered
from netadapt_tf.resources.budget import parse_budget
from netadapt_tf.search.netadapt import Iterate
from netadapt_tf.stopwatch import Stopwatch


def searched(
    monkeypatch, delivered: list[float], reachable: float = 0.0, budget: str = "60%", iterations: int = 1
) -> list[float]:
    """The limits that searches are given for a start that costs 100, when the delivered files cost `delivered`."""
    limits: list[float] = []

    class FakeSearch:
        def __init__(self, name, resource, limit, *_):
            limits.append(limit)

        def run(self, start):
            return Iterate(iterations * len(limits), None, 0.5, max(reachable, 0.99 * limits[-1]), 0.0)

    costs = iter(delivered)
    monkeypatch.setattr(adaptation, "Search", FakeSearch)
    monkeypatch.setattr(adaptation, "convert", lambda network: b"")
    monkeypatch.setattr(adaptation, "_settings", lambda request: None)
    monkeypatch.setattr(adaptation, "_measured_start", lambda *_: Iterate(0, None, 0.9, 100.0, 0.0))
    monkeypatch.setattr(adaptation, "_long_term_fine_tune", lambda *_: None)
    monkeypatch.setattr(
        adaptation, "_delivered_costs", lambda *_: (Delivered(0, 0, 0, 100.0), Delivered(0, 0, 0, next(costs)))
    )
    request: Any = SimpleNamespace(budget=parse_budget(f"latency@host/cpu:1={budget}"))
    start: Any = SimpleNamespace(widths={}, deployed=None)
    resources: Any = SimpleNamespace(budgeted=SimpleNamespace(unit=""), latency=None)
    run: Any = SimpleNamespace(write_bytes=lambda name, content: None)
    nothing: Any = None
    adaptation._adapt_within_budget(request, start, resources, nothing, run, Stopwatch())
    return limits


def test_the_delivered_file_has_the_last_word(monkeypatch):
    assert searched(monkeypatch, [59.0]) == [60.0]
    assert searched(monkeypatch, [63.0, 60.0]) == pytest.approx([60.0, 60 * 60 / 63])


def test_a_file_over_budget_by_a_hair_is_cut_once_more(monkeypatch):
    limits = searched(monkeypatch, [60.001, 59.9])
    assert limits[1] < 0.99 * limits[0], "what was found would meet the new limit, and nothing would be done"


def test_where_nothing_more_can_be_saved_it_ends(monkeypatch):
    assert searched(monkeypatch, [80.0], reachable=75.0) == [60.0]


def test_the_start_itself_is_not_cut_for_the_noise_of_its_ratio_to_itself(monkeypatch):
    assert searched(monkeypatch, [100.2], budget="100%", iterations=0) == [100.0]
    assert len(searched(monkeypatch, [100.2, 99.0], budget="100ms", iterations=0)) == 2
