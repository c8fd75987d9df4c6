import dataclasses
import itertools
import json
import re
from functools import partial

import numpy as np
import pytest
import tf_keras

from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources import surprise
from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.resource import Measurement
from netadapt_tf.search.filter_choice import CRITERIA, l2_norms, random_scores, strongest
from netadapt_tf.search.filter_scores import scores
from netadapt_tf.search.goals import Goal
from netadapt_tf.search.iterate import relative_to
from netadapt_tf.search.journal import Journal
from netadapt_tf.search.proposals import proposal_seed
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.task import Metric, Task, classification
from netadapt_tf.training.trainer import Trainer
from tests.tiny_networks import randomised
from tests.tiny_search import SETTINGS, START_WIDTHS, corner_datasets, cost, search, story
from tflite_bench.errors import UserError

CROSS_ENTROPY = Metric("loss", tf_keras.metrics.SparseCategoricalCrossentropy, larger_is_better=False)


@pytest.fixture(scope="module")
def data() -> Datasets:
    return corner_datasets()


def test_a_metric_that_should_be_small_is_made_small(tmp_path, data):
    task = Task(tf_keras.losses.SparseCategoricalCrossentropy(), CROSS_ENTROPY)
    _, run = search(tmp_path, data, task=task)
    for record in run.journal.events("iteration"):
        offered = [r["accuracy"] for r in run.journal.events("proposal") if r["iteration"] == record["iteration"]]
        assert record["accuracy"] == min(offered)
        assert len(set(offered)) == len(offered) > 1 or record["iteration"] > 1


def test_a_search_that_diverges_says_so(tmp_path, data):
    undefined = Metric("margin", lambda: tf_keras.metrics.MeanMetricWrapper(lambda _, outputs: np.nan * outputs))
    task = Task(tf_keras.losses.SparseCategoricalCrossentropy(), undefined)
    with pytest.raises(UserError, match="its margin is not a number"):
        search(tmp_path, data, task=task)


class InterruptionError(Exception):
    pass


class InterruptedAt(Counted):
    """Raises when the n-th network is measured."""

    def __init__(self, at: int) -> None:
        super().__init__("units", cost, START_WIDTHS)
        self._left = at

    def measure(self, widths) -> Measurement:
        self._left -= 1
        if self._left == 0:
            raise InterruptionError
        return super().measure(widths)


def test_the_budget_is_met_step_by_step(tmp_path, data):
    found, run = search(tmp_path, data)
    assert found.costs["macs"].value <= 0.4 * cost(START_WIDTHS)
    records = list(run.journal.events("iteration"))
    assert [record["iteration"] for record in records] == list(range(1, found.iteration + 1))
    before = cost(START_WIDTHS)
    for record in records:
        widths = run.read_json(f"iterations/{record['iteration']:03d}/widths.json")
        assert (
            record["counted"]
            == record["measured"]["macs"]
            == cost(widths)
            <= record["constraint"]["macs"] + 1e-9
            < before
        )
        before = cost(widths)
        offered = [r for r in run.journal.events("proposal") if r["iteration"] == record["iteration"]]
        assert record["accuracy"] == max(r["accuracy"] for r in offered)
        assert all(r["predicted"]["macs"] <= record["constraint"]["macs"] for r in offered)
    assert find_channels(found.network).widths == widths
    assert set(records[0]["wall_s"]) == {"measure", "short_term", "evaluate", "search_overhead"}


def test_the_lowest_loss_wins_where_that_is_asked_for(tmp_path, data):
    _, run = search(tmp_path, data, settings=dataclasses.replace(SETTINGS, pick="lowest_loss"))
    told_apart = False
    for record in run.journal.events("iteration"):
        offered = [r for r in run.journal.events("proposal") if r["iteration"] == record["iteration"]]
        (picked,) = [r for r in offered if r["group"] == record["picked"]]
        assert picked["loss"] == min(r["loss"] for r in offered)
        told_apart |= len({r["loss"] for r in offered}) > 1
    assert told_apart


def interrupt_fit(monkeypatch, at: int) -> None:
    """Makes the n-th short-term fine-tune from now raise, half done."""
    calls, fit = itertools.count(1), Trainer.fit

    def interrupted(self, batches, steps, learning_rates):
        if next(calls) == at:
            fit(self, batches, 1, learning_rates)
            raise InterruptionError
        return fit(self, batches, steps, learning_rates)

    monkeypatch.setattr(Trainer, "fit", interrupted)


def filters(widths) -> int:
    """Another resource, for which the two groups do not weigh as they do for `cost`."""
    return 10 * widths["first"] + 30 * widths["second"]


FILTERS = Goal("parameters", Counted("units", filters, START_WIDTHS), 0.6 * filters(START_WIDTHS))


def test_each_iteration_works_for_the_goal_that_is_furthest_and_breaks_none(tmp_path, data):
    _, run = search(tmp_path, data, others=[FILTERS])
    limits = {"macs": 0.4 * cost(START_WIDTHS), "parameters": FILTERS.limit}
    starts = {"macs": cost(START_WIDTHS), "parameters": filters(START_WIDTHS)}
    before: dict[str, float] = dict(starts)
    worked_for = []
    for record in run.journal.events("iteration"):
        left = {name: (before[name] - limits[name]) / (starts[name] - limits[name]) for name in limits}
        ((name, constraint),) = record["constraint"].items()
        assert left[name] == max(left.values())
        assert record["measured"][name] <= constraint + 1e-9
        for other, limit in limits.items():
            assert record["measured"][other] <= (limit if before[other] <= limit else before[other])
        assert record.keys() >= {"picked", "predicted", "measured", "spread", "wall_s"}
        assert record["predicted"] == pytest.approx(record["measured"])
        before = record["measured"]
        worked_for.append(name)
    assert set(worked_for) == {"macs", "parameters"}, "the case was not met with"
    assert all(before[name] <= limit for name, limit in limits.items())
    assert all(record["predicted"].keys() == limits.keys() for record in run.journal.events("proposal"))


class Betraying(Counted):
    """Counts filters, but what has fewer of the first group turns out to cost more, whatever was predicted."""

    def measure(self, widths) -> Measurement:
        betrayed = widths["first"] < START_WIDTHS["first"]
        measured = super().measure(widths)
        return dataclasses.replace(measured, value=2 * measured.start) if betrayed else measured


def test_a_proposal_that_breaks_a_met_goal_by_measurement_is_discarded_for_the_next(tmp_path, data, monkeypatch):
    whole_filters = float(filters(START_WIDTHS))
    met = Goal("parameters", Betraying("units", filters, START_WIDTHS), whole_filters)
    found, run = search(tmp_path / "whole", data, others=[met], limit=0.8)
    discarded = list(run.journal.events("discarded"))
    assert {record["group"] for record in discarded} == {"first"}, "the case was not met with"
    assert all(record["measured"]["parameters"] == 2 * whole_filters for record in discarded)
    assert {record["picked"] for record in run.journal.events("iteration")} == {"second"}
    assert found.costs["parameters"].value <= whole_filters
    assert found.channels.widths["first"] == START_WIDTHS["first"]

    append = Journal.append

    def interrupted(self, event, **values):
        record = append(self, event, **values)
        if event == "discarded":
            raise InterruptionError
        return record

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", interrupted)
        with pytest.raises(InterruptionError):
            search(tmp_path / "parts", data, others=[met], limit=0.8)
    resumed, run_resumed = search(tmp_path / "parts", data, others=[met], limit=0.8)
    assert story(run_resumed) == story(run)
    assert list(run_resumed.journal.events("discarded")) == discarded
    for a, b in zip(resumed.network.get_weights(), found.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_where_every_proposal_breaks_a_met_goal_the_search_ends(tmp_path, data, caplog):
    class BetrayingAll(Counted):
        def measure(self, widths) -> Measurement:
            measured = super().measure(widths)
            return measured if widths == START_WIDTHS else dataclasses.replace(measured, value=2 * measured.start)

    met = Goal("parameters", BetrayingAll("units", filters, START_WIDTHS), float(filters(START_WIDTHS)))
    found, run = search(tmp_path, data, others=[met])
    assert found.iteration == 0
    assert {record["group"] for record in run.journal.events("discarded")} == {"first", "second"}
    assert "without breaking another budget" in caplog.text


class Disturbed(Counted):
    """Says of one network that it costs a third more, the first time that it is asked."""

    def __init__(self, at: int) -> None:
        super().__init__("units", cost, START_WIDTHS)
        self.left = at

    def measure(self, widths) -> Measurement:
        self.left -= 1
        truth = super().measure(widths)
        return dataclasses.replace(truth, value=truth.value * 4 / 3) if self.left == 0 else truth


@pytest.mark.parametrize("at", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_measurement_that_was_disturbed_changes_nothing(tmp_path, data, at):
    _, undisturbed = search(tmp_path / "undisturbed", data)
    disturbed = Disturbed(at)
    _, run = search(tmp_path / "disturbed", data, disturbed)
    assert disturbed.left <= -1, "it was not measured again"
    assert story(run) == story(undisturbed)


class Slowed(Counted):
    """The first network is measured on a device that is slow: by less than a surprise, beyond what the start bears."""

    def __init__(self) -> None:
        super().__init__("units", cost, START_WIDTHS)
        self.measured = 0

    def measure(self, widths) -> Measurement:
        self.measured += 1
        truth = super().measure(widths)
        return Measurement(truth.start * 1.2, truth.value * 1.2 * 1.04) if self.measured == 1 else truth


def test_what_was_measured_on_a_slow_device_is_not_believed(tmp_path, data, monkeypatch):
    monkeypatch.setattr(surprise, "_PAUSES_S", (0.0, 0.0))
    slowed, quiet = Slowed(), Slowed()
    quiet.measured = 1
    (_, run), (_, undisturbed) = search(tmp_path / "slowed", data, slowed), search(tmp_path / "quiet", data, quiet)
    assert slowed.measured == quiet.measured
    assert [r["measured"] for r in run.journal.events("iteration")] == [
        r["measured"] for r in undisturbed.journal.events("iteration")
    ]


def test_the_log_has_large_amounts_in_full_and_counts_what_is_left(tmp_path, data, caplog):
    caplog.set_level("INFO", logger="absl")
    thousandfold = Counted("bytes", lambda widths: 1000 * cost(widths), START_WIDTHS)
    search(tmp_path, data, limit=0.65, others=[Goal("tflite_bytes", thousandfold, 650.0 * cost(START_WIDTHS))])
    (line, *_) = (line for line in caplog.messages if line.startswith("Iteration 1"))
    assert re.search(r"tflite_bytes [\d,]+,\d{3} bytes, predicted [\d,]+,\d{3}, budget [\d,]+,\d{3}\.$", line)
    assert re.search(r"; hold-out accuracy \d+\.\d\d%; ", line)
    assert "About 1 more iteration, " in caplog.text


def test_a_goal_that_nothing_can_be_saved_for_leaves_the_others_their_turn(tmp_path, data, caplog):
    stuck = Goal("tflite_bytes", Counted("units", lambda widths: 100, START_WIDTHS), 50.0)
    found, _ = search(tmp_path, data, others=[stuck])
    assert found.costs["macs"].value <= 0.4 * cost(START_WIDTHS)
    assert (
        "starting network's tflite_bytes any more without breaking another budget; the search ends at 100"
        in caplog.text
    )
    assert "network's macs any more" not in caplog.text


@pytest.mark.slow
def test_with_two_goals_interrupted_and_resumed_equals_uninterrupted(tmp_path, data, monkeypatch):
    whole, run = search(tmp_path / "whole", data, others=[FILTERS])
    for number in (2, 3, 2):
        with monkeypatch.context() as patch:
            interrupt_fit(patch, number)
            with pytest.raises(InterruptionError):
                search(tmp_path / "parts", data, others=[FILTERS])
    resumed, run_resumed = search(tmp_path / "parts", data, others=[FILTERS])
    assert story(run_resumed) == story(run)
    assert resumed.costs == whole.costs
    for a, b in zip(resumed.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("measured", "fitted"),
    [(1, None), *(pytest.param(*at, marks=pytest.mark.slow) for at in ((None, 2), (3, None), (None, 3), (None, 4)))],
)
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, data, monkeypatch, measured, fitted):
    whole, run = search(tmp_path / "whole", data)
    resource = InterruptedAt(measured) if measured else None
    with monkeypatch.context() as patch:
        if fitted:
            interrupt_fit(patch, fitted)
        with pytest.raises(InterruptionError):
            search(tmp_path / "parts", data, resource)
    resumed, run_resumed = search(tmp_path / "parts", data)
    assert story(run_resumed) == story(run)
    for a, b in zip(resumed.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    keys = [(r["iteration"], r["group"]) for r in run_resumed.journal.events("proposal")]
    assert len(keys) == len(set(keys)), "a finished proposal was done twice"


def test_a_run_of_a_release_that_kept_no_losses_goes_on(tmp_path, data):
    _, run = search(tmp_path, data)
    journal = tmp_path / "journal.jsonl"
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    assert records.pop()["event"] == "iteration"
    for record in records:
        record.pop("loss", None)
    journal.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    _, resumed = search(tmp_path, data)
    assert story(resumed) == story(run)


def test_a_budget_out_of_reach_ends_with_the_best_there_is(tmp_path, data, caplog):
    found, run = search(tmp_path, data, limit=0.001)
    assert "the search ends" in caplog.text
    assert run.read_json(f"iterations/{found.iteration:03d}/widths.json") == {"first": 2, "second": 2}


def test_a_budget_already_met_changes_nothing(tmp_path, data):
    found, run = search(tmp_path, data, limit=1.0)
    assert found.iteration == 0
    assert not list(run.journal.events())


def stairs(widths) -> int:
    return cost({name: -(-filters // 4) * 4 for name, filters in widths.items()})


def test_a_budget_met_within_the_spread_only_is_cut_once_more_and_not_for_show(tmp_path, data):
    spread = 7.0

    class Unsure(Counted):
        def measure(self, widths) -> Measurement:
            return dataclasses.replace(super().measure(widths), spread=spread)

    resource = Unsure("units", stairs, START_WIDTHS)
    in_doubt = stairs({"first": 4, "second": 12}) + 1  # one stair of `first` down: within the budget, but not surely
    found, run = search(tmp_path, data, resource, limit=in_doubt / cost(START_WIDTHS))
    assert found.costs["macs"].at_most <= in_doubt
    within = [record for record in run.journal.events("iteration") if record["measured"]["macs"] <= in_doubt]
    assert within[0]["measured"]["macs"] == in_doubt - 1, "the case was not met with"
    assert len(within) == 2
    assert within[1]["measured"]["macs"] + spread <= in_doubt


def test_drift_of_the_machine_cancels():
    measured = relative_to(10.0, Measurement(start=12.0, value=6.0, spread=0.6))
    assert (measured.start, measured.value, measured.spread) == pytest.approx((10.0, 5.0, 0.5))


def normed() -> tf_keras.Model:
    """Two convolutions with batch norms: a network that every criterion can be used on."""
    layers = tf_keras.layers
    images = x = layers.Input((8, 8, 3))
    for name, filters in START_WIDTHS.items():
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_bn")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return randomised(tf_keras.Model(images, layers.Dense(4, activation="softmax", name="classifier")(x)))


@pytest.mark.slow
@pytest.mark.parametrize("criterion", CRITERIA)
def test_filters_are_chosen_as_asked_and_the_same_ones_after_an_interruption(tmp_path, data, monkeypatch, criterion):
    settings = dataclasses.replace(SETTINGS, filters=criterion)
    restart = Trainer.restart
    chosen: dict[str, np.ndarray] = {}  # by the proposals of the first iteration

    def noted(self, weights, kept, seed):
        for group, indices in kept.items():
            chosen.setdefault(group, indices)
        return restart(self, weights, kept, seed)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "restart", noted)
        whole, run = search(tmp_path / "whole", data, limit=0.75, settings=settings, network=normed())
    assert chosen.keys() == START_WIDTHS.keys()
    for group, indices in chosen.items():
        expected = strongest(first_scores(criterion, group, data), len(indices))
        np.testing.assert_array_equal(indices, expected)
        others = [first_scores(other, group, data) for other in CRITERIA if other != criterion]
        assert not any(np.array_equal(expected, strongest(scores, len(indices))) for scores in others), "no test of it"

    for fitted in (2, 2):
        with monkeypatch.context() as patch:
            interrupt_fit(patch, fitted)
            with pytest.raises(InterruptionError):
                search(tmp_path / "parts", data, limit=0.75, settings=settings, network=normed())
    resumed, run_resumed = search(tmp_path / "parts", data, limit=0.75, settings=settings, network=normed())
    assert story(run_resumed) == story(run)
    for a, b in zip(resumed.network.get_weights(), whole.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def first_scores(criterion: str, group: str, data: Datasets) -> np.ndarray:
    """What a group's filters are worth at the start."""
    network = normed()
    if criterion == "l2":
        return l2_norms([network.get_layer(group).get_weights()[0]])
    if criterion == "bn_scale":
        return np.abs(network.get_layer(f"{group}_bn").get_weights()[0])
    if criterion == "random":
        return random_scores(START_WIDTHS[group], proposal_seed(0, 1, group))
    channels = find_channels(network)
    loss = classification(network).loss
    (found,) = (found for found in channels.groups if found.name == group)
    return scores("taylor", network, channels, data.train, loss, partial(proposal_seed, 0, 1))(found)


def test_a_group_of_one_filter_is_still_itself(tmp_path, data):
    """Found anew, it would be tied to the map of one channel that it is multiplied with."""
    layers = tf_keras.layers
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", name="first")(images)
    x = layers.Multiply()([x, layers.Conv2D(1, 3, padding="same", activation="sigmoid", name="map")(x)])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(12, 1, name="second")(x))
    network = randomised(tf_keras.Model(images, layers.Dense(4, activation="softmax")(x)))
    settings = dataclasses.replace(SETTINGS, filter_multiple=1, initial_reduction=0.6, short_term_steps=0)
    found, run = search(tmp_path, data, limit=0.1, settings=settings, network=network)
    assert found.channels.widths["first"] == 1
    assert found.channels.widths.keys() == {"first", "second"}
    assert run.widths(found.iteration) == found.channels.widths
    assert found.network.get_layer("map").filters == 1
