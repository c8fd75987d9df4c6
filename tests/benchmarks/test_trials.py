import dataclasses

import numpy as np
import pytest

from benchmarks import trials
from benchmarks.accuracy import Trial
from benchmarks.configuration import Configuration
from benchmarks.trials import TrialFile, WholeNetworks, measure_trials, random_cut, random_widths, trial_network
from netadapt_tf.networks.mobilenet_v1 import mobilenet_v1_widths
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.resources.deployed import DeployedNetwork
from netadapt_tf.search.filter_counts import candidate_filters
from tests.fake_meter import FakeMeter
from tflite_bench.errors import UserError
from tflite_bench.target import parse_target
from tflite_bench.timing import Comparison, Pair


@pytest.fixture(autouse=True)
def converted(monkeypatch, mobilenet, mobilenet_tflite):
    """The conversion is made once, of a network whose widths are those of alpha 0.25."""
    network = DeployedNetwork(mobilenet_tflite, find_channels(mobilenet).groups)
    monkeypatch.setattr(trials, "converted", lambda named, widths, resolution, precision: network)


TARGET = parse_target("host/cpu:1")
START = mobilenet_v1_widths(0.25)
SMALL = Configuration("mobilenet_v1", 0.25, 32)


def test_widths_are_those_a_search_may_choose():
    for seed in range(20):
        widths = random_widths(START, np.random.default_rng(seed))
        assert widths.keys() == START.keys()
        for name, filters in widths.items():
            assert filters in (*candidate_filters(START[name], START[name], 8), START[name])


def test_a_cut_is_one_that_a_search_may_make():
    for seed in range(20):
        generator = np.random.default_rng(seed)
        widths = random_widths(START, generator)
        group, filters = random_cut(START, widths, generator)
        assert filters in candidate_filters(START[group], widths[group], 8)
    with pytest.raises(UserError, match="narrowest"):
        random_cut({"a": 8}, {"a": 4}, np.random.default_rng(0))


def test_a_table_that_is_right_has_no_errors_and_finished_trials_are_kept(tmp_path):
    file = TrialFile(tmp_path / "trials.csv", str(TARGET), seed=0)
    measure_trials(file, [SMALL], 2, 0.1, FakeMeter(), TARGET, tmp_path / "table")
    assert [trial.configuration for trial in file.trials] == ["0.25, 32 px"] * 2
    for trial in file.trials:
        assert trial.raw == pytest.approx(0, abs=1e-4)
        assert trial.corrected_by_start == pytest.approx(0, abs=1e-4)
        assert trial.corrected_by_step == pytest.approx(0, abs=1e-4)
        assert trial.step_ratio < trial.ratio < 1
    again = TrialFile(tmp_path / "trials.csv", str(TARGET), seed=0)
    meter = FakeMeter()
    measure_trials(again, [SMALL], 2, 0.1, meter, TARGET, tmp_path / "other_table")
    assert again.trials == file.trials
    assert meter.jobs == []


def test_trials_of_other_seeds_and_targets_are_others(tmp_path):
    trial = Trial("0.25, 32 px", 1.0, 0.5, 0.4, 1.0, 0.5, 0.4)
    TrialFile(tmp_path / "trials.csv", "host/cpu:1", seed=0).add(0, START, "conv1", 4, trial)
    assert TrialFile(tmp_path / "trials.csv", "host/cpu:1", seed=0).trials == [trial]
    assert TrialFile(tmp_path / "trials.csv", "host/cpu:1", seed=1).trials == []
    assert ("0.25, 32 px", 0) not in TrialFile(tmp_path / "trials.csv", "host/cpu:2", seed=0)


def test_the_network_of_the_repeatability_has_the_same_random_widths():
    _, start, widths = trial_network(SMALL, 2, seed=0)
    assert start == widths[0] == START
    assert len(widths) == 3


def test_a_disturbed_comparison_is_repeated(mobilenet, mobilenet_tflite):
    class Disturbed(FakeMeter):
        """Another process takes half of the core during the second and the third comparison."""

        comparisons = 0

        def compare(self, pair: Pair) -> Comparison:
            self.comparisons += 1
            result = super().compare(pair)
            slow = 2.0 if self.comparisons in (2, 3) else 1.0
            return dataclasses.replace(result, first_ms=slow * result.first_ms, ratio=slow * result.ratio)

    meter = Disturbed()
    network = DeployedNetwork(mobilenet_tflite, find_channels(mobilenet).groups)
    whole_networks = WholeNetworks(meter, network, START, seconds=0.1)
    undisturbed = whole_networks.compare(START)
    assert whole_networks.compare(START) == undisturbed
    assert meter.comparisons == 4
