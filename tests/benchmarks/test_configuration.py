import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

import benchmarks
from benchmarks.configuration import Configuration, network_of, order, precision_of
from benchmarks.trials import TrialFile

RESULTS = Path(benchmarks.__path__[0]) / "results"
CONFIGURATIONS = [
    Configuration(network, alpha, resolution)
    for network in ("mobilenet_v1", "mobilenet_v2")
    for alpha in (0.25, 0.5, 1.0, 1.4)
    for resolution in (64, 224)
]


def test_names_are_told_apart_and_say_their_network():
    names = [str(configuration) for configuration in CONFIGURATIONS]
    assert len(set(names)) == len(names)
    assert [network_of(name) for name in names] == [configuration.network for configuration in CONFIGURATIONS]
    assert str(Configuration("mobilenet_v2", 0.35, 64)) == "mobilenet_v2 0.35, 64 px"


def test_they_stand_in_the_order_of_network_alpha_and_resolution():
    names = [str(configuration) for configuration in CONFIGURATIONS]
    assert sorted([*names[1::2], *names[::2]], key=order) == names


def published_rows(path: Path) -> Counter[tuple[str, str]]:
    """How many the file has of each network and precision."""
    with path.open(newline="") as file:
        names = [row["configuration"] for row in csv.DictReader(file)]
    return Counter((network_of(name), precision_of(name)) for name in names)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_rows_that_were_published_are_still_finished_ones(precision, tmp_path):
    path = Path(shutil.copy(RESULTS / "table_accuracy.csv", tmp_path))
    published = TrialFile(path, "host/cpu:1", seed=0, precision=precision)
    assert len(published.trials) == published_rows(path)["mobilenet_v1", precision] == 180
    for alpha in (0.25, 0.5, 1.0):
        for resolution in (64, 128, 224):
            assert (str(Configuration("mobilenet_v1", alpha, resolution, precision)), 19) in published


def test_rows_of_another_network_in_the_same_file_are_others(tmp_path):
    path = Path(shutil.copy(RESULTS / "table_accuracy.csv", tmp_path))
    other = TrialFile(path, "host/cpu:1", 0, "mobilenet_v2")
    assert len(other.trials) == published_rows(path)["mobilenet_v2", "float32"] > 0
    assert (str(Configuration("mobilenet_v2", 0.35, 64)), 19) in other
    assert (str(Configuration("mobilenet_v2", 0.25, 64)), 0) not in other
