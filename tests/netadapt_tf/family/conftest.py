"""A search that is made once, and imagined devices."""

import shutil
from pathlib import Path

import pytest

from netadapt_tf.training.trainer import Trainer
from tests.netadapt_tf.family.family_runs import adapt
from tests.tiny_adaptation import FakeMeters


@pytest.fixture(autouse=True)
def _imagined_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netadapt_tf.problem.Meters", FakeMeters)


@pytest.fixture(scope="session")
def searched(tmp_path_factory) -> Path:
    run_dir = tmp_path_factory.mktemp("searched") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netadapt_tf.problem.Meters", FakeMeters)
        assert adapt(run_dir).summary["iterations"] >= 3
    return run_dir


@pytest.fixture
def run_dir(tmp_path, searched) -> Path:
    return Path(shutil.copytree(searched, tmp_path / "run"))


@pytest.fixture
def no_training(monkeypatch):
    def again(*_, **__):
        raise AssertionError("it is trained again")

    monkeypatch.setattr(Trainer, "fit", again)
