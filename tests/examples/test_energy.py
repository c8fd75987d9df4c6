"""That the worked example of docs/extending.md is what it shows, counts right, and adapts a network."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import examples.energy
from examples.energy import ENERGY, energy_uj
from netadapt_tf import Datasets, OwnResource, Settings, UserError, adapt_network, dry_run
from netadapt_tf.networks.tracing import find_channels
from netadapt_tf.reporting.forecast import forecast_text
from netadapt_tf.reporting.summary import closing_table
from netadapt_tf.resources.counted import Counted
from netadapt_tf.resources.deployed import DeployedNetwork
from tests.fake_meter import FakeMeter
from tests.tiny_networks import two_convolutions
from tflite_bench.convert import convert
from tflite_bench.meters import Meters

SOURCE = Path(examples.energy.__file__)
PAGE = SOURCE.parent.parent / "docs" / "extending.md"
OWN = {"energy": ENERGY}


@pytest.fixture(autouse=True)
def nothing_is_timed(monkeypatch):
    """The summary tells a latency, which is of no interest here."""
    monkeypatch.setattr(Meters, "of", lambda *_: FakeMeter())


@pytest.fixture(scope="module")
def network():
    return two_convolutions()


@pytest.fixture(scope="module")
def datasets():
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (32, 32, 32, 3)).astype(np.float32)
    part = tf.data.Dataset.from_tensor_slices((images, random.integers(0, 10, 32))).batch(16)
    return Datasets(part, holdout=part, test=part)


def by_hand_uj(widths: dict[str, int]) -> float:
    """Of `two_convolutions`: 32x32 pixels in, as many out of the first layer, 16x16 out of the second."""
    first, second = widths["first"], widths["second"]
    macs = 32 * 32 * first * 27 + 16 * 16 * second * 9 * first + second * 10
    weights = first * 27 + first + second * 9 * first + second + second * 10 + 10
    read = 32 * 32 * 3 + 32 * 32 * first + 16 * 16 * second + second + 10  # convolutions, mean, classes, softmax
    written = 32 * 32 * first + 16 * 16 * second + second + 10 + 10
    axes_of_the_mean = 2
    return (4.6 * macs + 640 * (weights + axes_of_the_mean) + 5 * (read + written)) / 1e6


def test_energy_is_counted_layer_by_layer(network):
    deployed = DeployedNetwork(convert(network), find_channels(network).groups)
    for widths in ({"first": 64, "second": 64}, {"first": 24, "second": 8}):
        assert energy_uj(deployed, widths) == pytest.approx(by_hand_uj(widths), rel=1e-6)


def test_a_network_is_adapted_to_an_energy_and_goes_on_to_a_lower_one(tmp_path, network, datasets):
    def adapted(*budgets: str, resources=OWN):
        settings = Settings(initial_reduction=0.3, short_term_steps=1, long_term_epochs=0)
        return adapt_network(network, datasets, budgets, tmp_path / "run", settings=settings, resources=resources)

    start_uj = by_hand_uj({"first": 64, "second": 64})
    first = adapted("energy=60%", "macs=90%")
    energy, macs = first.budgets
    assert energy.met
    assert macs.met
    assert (energy.unit, macs.unit) == ("uJ", "MACs")
    assert energy.asked == pytest.approx(0.6 * start_uj)
    assert energy.reached == pytest.approx(by_hand_uj(dict(first.widths)))
    assert energy.reached <= 0.6 * start_uj
    assert "budget energy=60%: met; at most" in closing_table(first.summary, tmp_path)
    assert adapted("energy=60%", "macs=90%").widths == first.widths
    lower = adapted("energy=40%", "macs=90%")
    assert lower.budgets[0].reached == pytest.approx(by_hand_uj(dict(lower.widths)))
    assert lower.budgets[0].reached <= 0.4 * start_uj
    with pytest.raises(
        UserError, match=r"config\.json holds budgets that mean nothing here .*unknown resource 'energy'"
    ):
        adapted("macs=90%", resources=None)


def test_what_cannot_be_reached_is_refused_in_the_units_of_the_resource(network, datasets):
    asked = dry_run(network, datasets, ["energy=0.0001mJ"], resources=OWN)
    assert asked.reaches[0].now == pytest.approx(by_hand_uj({"first": 64, "second": 64}))
    assert asked.reaches[0].least == pytest.approx(by_hand_uj({"first": 8, "second": 8}))
    said = forecast_text(asked)
    assert "CANNOT be met; now 77.59 uJ, allowed 0.1000 uJ, least reachable 2.390 uJ (3.1%)" in said
    assert said.endswith("ask for energy=0.0024mJ or more")


def test_units_of_a_resource_are_its_own(network, datasets):
    with pytest.raises(UserError, match="unknown unit 'ms'; energy takes %, uJ, mJ"):
        dry_run(network, datasets, ["energy=5ms"], resources=OWN)


@pytest.mark.parametrize(
    ("name", "units", "said"),
    [
        ("macs", {"": 1.0}, "resource 'macs': a name of letters"),
        ("energy@phone", {"uJ": 1.0}, "and none of latency, macs, parameters, tflite_bytes"),
        ("energy", {}, "units should begin with the resource's own, of 1"),
        ("energy", {"mJ": 1e3, "uJ": 1.0}, "units should begin with the resource's own, of 1"),
        ("energy", {"uJ": 1.0, "nJ": -1e-3}, "all are above 0"),
        ("energy", {"µJ": 1.0}, "the names of units should be letters"),
    ],
)
def test_resources_that_no_budget_can_name_are_refused(tmp_path, network, datasets, name, units, said):
    own = {name: OwnResource(units, lambda network, start: Counted("uJ", lambda _: 1.0, start))}
    for call in (
        lambda: dry_run(network, datasets, ["macs=60%"], resources=own),
        lambda: adapt_network(network, datasets, ["macs=60%"], tmp_path / "run", resources=own),
    ):
        with pytest.raises(UserError, match=re.escape(said)):
            call()


def test_the_page_shows_the_file():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    body = SOURCE.read_text()
    assert any(block in body and "def energy_uj" in block for block in blocks)
    assert any(block in body and "ENERGY = OwnResource" in block for block in blocks)
