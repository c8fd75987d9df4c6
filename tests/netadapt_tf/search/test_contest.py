import dataclasses
import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import tensorflow as tf

from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search import contest
from netadapt_tf.search.goals import Goal
from netadapt_tf.search.journal import Journal
from netadapt_tf.search.screening import screening_steps, survivors
from netadapt_tf.search.selection import PICKS
from netadapt_tf.search.short_term import ShortTerm
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.trainer import Trainer
from tests.tiny_networks import tiny_cnn
from tests.tiny_search import SETTINGS, START_WIDTHS, corner_datasets, search, story
from tflite_bench.errors import UserError

ONE_ITERATION = 0.85
SCREENING = dataclasses.replace(SETTINGS, short_term_steps=8, screen=True)


class InterruptionError(Exception):
    pass


@pytest.fixture(scope="module")
def data() -> Datasets:
    return corner_datasets()


@contextmanager
def fit_instead(fails: Callable[[int], float | None]) -> Iterator[None]:
    """Inside, the n-th fine-tune ends as `fails` says, half done: it raises, or returns the loss; None lets it be."""
    fit, calls = Trainer.fit, iter(range(1, 1000))

    def other(self, batches, steps, learning_rates):
        loss = fails(next(calls))
        whole = fit(self, batches, steps, learning_rates)
        return whole if loss is None else loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "fit", other)
        yield


def raises(error: Exception, *at: int) -> Callable[[int], float | None]:
    def fails(number: int) -> float | None:
        if number in at:
            raise error
        return None

    return fails


INVALID = tf.errors.InvalidArgumentError(None, None, "Incompatible shapes\nin a node")
OUT_OF_MEMORY = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor\nin a node")


def assert_same(one, other) -> None:
    assert story(one[1]) == story(other[1])
    for a, b in zip(one[0].network.get_weights(), other[0].network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        (raises(INVALID, 1), "InvalidArgumentError: Incompatible shapes"),
        (lambda number: float("nan") if number == 1 else None, "the loss is nan"),
    ],
)
def test_a_proposal_that_fails_is_recorded_with_its_reason_and_cannot_win(tmp_path, data, fails, reason):
    with fit_instead(fails):
        found, run = search(tmp_path / "run", data, limit=ONE_ITERATION)
    (failed,) = run.journal.events("failed")
    assert {key: failed[key] for key in ("iteration", "group", "reason")} == {
        "iteration": 1,
        "group": "first",
        "reason": reason,
    }
    assert {r["group"] for r in run.journal.events("proposal") if r["iteration"] == 1} == {"second"}
    assert story(run)[0][1] == "second"
    assert_same(search(tmp_path / "run", data, limit=ONE_ITERATION), (found, run))


def test_a_failure_that_was_recorded_stays_one_after_an_interruption(tmp_path, data):
    def fails(number: int) -> None:
        raises(INVALID, 1)(number)
        if number == 2:
            raise InterruptionError

    with fit_instead(raises(INVALID, 1)):
        whole = search(tmp_path / "whole", data, limit=ONE_ITERATION)
    with fit_instead(fails), pytest.raises(InterruptionError):
        search(tmp_path / "parts", data, limit=ONE_ITERATION)
    assert_same(search(tmp_path / "parts", data, limit=ONE_ITERATION), whole)


@pytest.mark.parametrize(
    "error",
    [OUT_OF_MEMORY, MemoryError(), tf.errors.UnavailableError(None, None, ""), tf.errors.NotFoundError(None, None, "")],
)
def test_what_the_machine_does_once_changes_nothing(tmp_path, data, error):
    with fit_instead(raises(error, 1)):
        found = search(tmp_path / "run", data, limit=ONE_ITERATION)
    assert not list(found[1].journal.events("failed"))
    assert_same(found, search(tmp_path / "whole", data, limit=ONE_ITERATION))


def test_where_the_machine_fails_twice_the_search_stops_and_the_same_command_goes_on(tmp_path, data):
    whole = search(tmp_path / "whole", data, limit=ONE_ITERATION)
    said = "of second in iteration 1 failed twice, .*: ResourceExhaustedError: OOM when .*; the same command goes on"
    with fit_instead(raises(OUT_OF_MEMORY, 2, 3)), pytest.raises(UserError, match=said):
        search(tmp_path / "parts", data, limit=ONE_ITERATION)
    resumed = search(tmp_path / "parts", data, limit=ONE_ITERATION)
    assert not list(resumed[1].journal.events("failed"))
    assert_same(resumed, whole)


def test_a_finished_fine_tune_is_not_repeated_even_that_of_the_pick(tmp_path, data, monkeypatch):
    finished = []
    fine_tune, append = ShortTerm.fine_tune, Journal.append

    def counted(self, portion):
        finished.append(fine_tune(self, portion))
        return finished[-1]

    def interrupted(self, event, **values):
        if event == "iteration":
            raise InterruptionError
        return append(self, event, **values)

    monkeypatch.setattr(ShortTerm, "fine_tune", counted)
    whole = search(tmp_path / "whole", data, limit=ONE_ITERATION)
    of_whole = len(finished)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupted)
        with pytest.raises(InterruptionError):
            search(tmp_path / "parts", data, limit=ONE_ITERATION)
    assert (tmp_path / "parts" / "short-term.checkpoint.npz").exists()
    assert_same(search(tmp_path / "parts", data, limit=ONE_ITERATION), whole)
    assert len(finished) == 2 * of_whole
    assert not list(tmp_path.rglob("*.checkpoint.npz")), "what is picked needs none"


def test_the_step_and_the_evaluation_of_all_proposals_are_traced_once(tmp_path, data, monkeypatch):
    traced: Counter[str] = Counter()
    for name in ("_training_step", "_evaluation_step"):
        function = getattr(Trainer, name)

        def counted(self, *arguments, name=name, function=function):
            traced[name] += 1
            return function(self, *arguments)

        monkeypatch.setattr(Trainer, name, counted)
    _, run = search(tmp_path / "run", data, limit=ONE_ITERATION)
    assert len(list(run.journal.events("proposal"))) == 2
    assert traced == {"_training_step": 1, "_evaluation_step": 1}


@pytest.mark.parametrize(("steps", "reason"), [(3, "the loss is nan"), (1, "a weight is no finite number")])
def test_what_diverges_has_no_result(tmp_path, data, steps, reason):
    settings = dataclasses.replace(SETTINGS, short_term_steps=steps, short_term_learning_rate=1e39)
    with pytest.raises(UserError, match=f"no proposal of iteration 1 could be fine-tuned and judged; .*: {reason}"):
        search(tmp_path / "run", data, settings=settings)


@pytest.mark.slow
def test_where_all_fail_the_search_stops_with_the_reason_and_tries_them_again_next_time(tmp_path, data):
    whole = search(tmp_path / "whole", data)
    with (
        fit_instead(lambda number: float("inf") if number <= 2 else None),
        pytest.raises(UserError, match=r"no proposal of iteration 1 .* of first at 6 filters: the loss is inf"),
    ):
        search(tmp_path / "parts", data)
    assert_same(search(tmp_path / "parts", data), whole)


def betrayed_by(group: str) -> Goal:
    """A goal that is met, and measured to be broken once a group has fewer filters."""

    def filters(widths) -> int:
        return 10 * widths["first"] + 30 * widths["second"]

    class Betraying(Counted):
        def measure(self, widths) -> Measurement:
            measured = super().measure(widths)
            betrayed = widths[group] < START_WIDTHS[group]
            return dataclasses.replace(measured, value=2 * measured.start) if betrayed else measured

    return Goal("parameters", Betraying("units", filters, START_WIDTHS), float(filters(START_WIDTHS)))


def test_where_one_fails_and_the_others_are_discarded_the_search_ends_with_what_it_has(tmp_path, data):
    with fit_instead(lambda number: float("nan") if number == 2 else None):
        found, run = search(tmp_path / "run", data, None, ONE_ITERATION, others=[betrayed_by("first")])
    assert [r["group"] for r in run.journal.events("failed")] == ["second"]
    assert [r["group"] for r in run.journal.events("discarded")] == ["first"]
    assert found.iteration == 0
    assert search(tmp_path / "run", data, None, ONE_ITERATION, others=[betrayed_by("first")])[0].iteration == 0


def test_what_is_a_defect_is_no_failed_proposal(tmp_path, data):
    def fails(_: int) -> None:
        raise TypeError("a defect")

    with fit_instead(fails), pytest.raises(TypeError, match="a defect"):
        search(tmp_path, data)
    assert not (tmp_path / "journal.jsonl").exists()


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_full_disk_stops_the_search_which_goes_on_once_there_is_room(tmp_path, data, at, monkeypatch):
    """The journal's line is cut short, as it is where the last block is full."""
    whole = search(tmp_path / "whole", data, limit=ONE_ITERATION)
    append, calls = Journal.append, iter(range(1, 1000))

    def full(self, event, **values):
        if next(calls) != at:
            return append(self, event, **values)
        with open(self._path, "ab") as file:
            file.write(json.dumps({"event": event, **values}).encode()[:20])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", full)
        with pytest.raises(OSError, match="No space left"):
            search(tmp_path / "parts", data, limit=ONE_ITERATION)
    assert_same(search(tmp_path / "parts", data, limit=ONE_ITERATION), whole)
    lines = Journal(tmp_path / "parts" / "journal.jsonl").events()
    assert [line["event"] for line in lines] == [line["event"] for line in whole[1].journal.events()]


@pytest.fixture
def one_survives(monkeypatch):
    monkeypatch.setattr(contest, "survivors", lambda proposals: 1)


def network():
    return tiny_cnn(dropout=0.3)


def test_a_quarter_gets_all_steps_and_three_at_least():
    assert [survivors(count) for count in (2, 3, 12, 13, 27)] == [3, 3, 3, 4, 7]
    assert [screening_steps(steps) for steps in (0, 3, 20, 10000)] == [0, 0, 5, 2500]


@pytest.mark.usefixtures("one_survives")
def test_what_survives_screening_has_the_result_that_it_would_have_without(tmp_path, data, monkeypatch):
    _, run = search(tmp_path / "screened", data, None, 0.5, SCREENING, network=network())
    first = {r["group"]: r for r in run.journal.events("screened") if r["iteration"] == 1}
    assert first.keys() == START_WIDTHS.keys()
    assert all(record["steps"] == 2 for record in first.values())
    (survivor,) = [r for r in run.journal.events("proposal") if r["iteration"] == 1]

    def the_same(outcomes, _):
        return next((outcome for outcome in outcomes if outcome.group == survivor["group"]), outcomes[0])

    monkeypatch.setitem(PICKS, SCREENING.pick, the_same)
    unscreened = dataclasses.replace(SCREENING, screen=False)
    _, other = search(tmp_path / "whole", data, None, 0.5, unscreened, network=network())
    assert survivor["accuracy"] == next(
        r["accuracy"] for r in other.journal.events("proposal") if r["group"] == survivor["group"]
    )
    for a, b in zip(run.load_iteration(1).get_weights(), other.load_iteration(1).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.usefixtures("one_survives")
@pytest.mark.parametrize("fitted", [2, *(pytest.param(at, marks=pytest.mark.slow) for at in (3, 5))])
def test_with_screening_interrupted_and_resumed_equals_uninterrupted(tmp_path, data, fitted):
    def fails(number: int) -> None:
        if number == fitted:
            raise InterruptionError

    whole = search(tmp_path / "whole", data, settings=SCREENING, network=network())
    with fit_instead(fails), pytest.raises(InterruptionError):
        search(tmp_path / "parts", data, settings=SCREENING, network=network())
    resumed = search(tmp_path / "parts", data, settings=SCREENING, network=network())
    assert_same(resumed, whole)
    assert list(resumed[1].journal.events("screened"))
    keys = [(r["event"], r["iteration"], r["group"]) for r in resumed[1].journal.events() if "group" in r]
    assert len(keys) == len(set(keys)), "a finished portion was done twice"


@pytest.mark.usefixtures("one_survives")
def test_where_those_that_survive_are_discarded_the_next_best_have_their_turn(tmp_path, data):
    """The winner of the screening breaks a budget that is met, whichever it is."""
    _, run = search(tmp_path / "first", data, None, ONE_ITERATION, SCREENING, network=network())
    (winner,) = {r["group"] for r in run.journal.events("proposal") if r["iteration"] == 1}
    (other,) = START_WIDTHS.keys() - {winner}

    met = betrayed_by(winner)
    whole = search(tmp_path / "whole", data, None, ONE_ITERATION, SCREENING, others=[met], network=network())
    assert {r["group"] for r in whole[1].journal.events("discarded")} == {winner}
    assert story(whole[1])[0][1] == other

    def fails(number: int) -> None:
        if number == 4:
            raise InterruptionError

    with fit_instead(fails), pytest.raises(InterruptionError):
        search(tmp_path / "parts", data, None, ONE_ITERATION, SCREENING, others=[met], network=network())
    assert_same(
        search(tmp_path / "parts", data, None, ONE_ITERATION, SCREENING, others=[met], network=network()), whole
    )
