"""That a run goes on only with the devices that it was begun on."""

import json
import shutil

import pytest

from netadapt_tf import Settings, UserError, adapt_network
from netadapt_tf.filling import Filling
from netadapt_tf.search.journal import Journal
from netadapt_tf.training.trainer import Trainer
from tests.fake_meter import FakeMeter
from tests.tiny_adaptation import corner_datasets
from tests.tiny_networks import tiny_cnn
from tflite_bench.target import parse_target

TARGET = "android/cpu:1"
BUDGET = f"latency@{TARGET}=60%"
QUICK = Settings(initial_reduction=0.2, short_term_steps=2, long_term_epochs=1, filter_multiple=2)


class Phone(FakeMeter):
    def __init__(self, build: str):
        super().__init__()
        self.build = build

    def fingerprint(self):
        return {"model": "Pixel", "build": self.build}


@pytest.fixture
def plug_in(monkeypatch):
    """Makes a phone of some build the one that is there."""

    def plugged_in(build: str) -> None:
        class Meters:
            def __init__(self, _):
                pass

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

            def of(self, _):
                return Phone(build)

        monkeypatch.setattr("netadapt_tf.problem.Meters", Meters)

    return plugged_in


def interrupted(monkeypatch, *arguments, **more) -> None:
    def fit(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", fit)
        with pytest.raises(KeyboardInterrupt):
            adapt_network(*arguments, **more)


def without_devices(run_dir) -> None:
    journal = run_dir / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if json.loads(line)["event"] != "devices"))


@pytest.mark.slow
def test_a_run_goes_on_only_with_its_phone(tmp_path, monkeypatch, plug_in):
    call = {"budgets": [BUDGET], "run_dir": tmp_path / "run", "settings": QUICK, "table": tmp_path / "table"}
    plug_in("R1")
    interrupted(monkeypatch, tiny_cnn(), corner_datasets(), **call)
    (record,) = Journal(tmp_path / "run" / "journal.jsonl").events("devices")
    assert record["fingerprints"] == {TARGET: {"model": "Pixel", "build": "R1"}}
    shutil.copytree(tmp_path / "run", tmp_path / "old")
    without_devices(tmp_path / "old")

    plug_in("R2")
    with pytest.raises(UserError, match=r"another device for android/cpu:1; .* build \(there R1, now R2\); go on") as e:
        adapt_network(tiny_cnn(), corner_datasets(), **call)
    assert "model" not in str(e.value).replace("Pixel", "")
    begun_before_this = adapt_network(tiny_cnn(), corner_datasets(), **(call | {"run_dir": tmp_path / "old"}))
    assert begun_before_this.budgets[0].met

    plug_in("R1")
    assert adapt_network(tiny_cnn(), corner_datasets(), **call).budgets[0].met


@pytest.mark.slow
def test_a_run_goes_on_only_with_a_table_of_its_phone(tmp_path, monkeypatch):
    for build in ("R1", "R2"):
        filling = Filling(tiny_cnn(), parse_target(TARGET), Phone(build), tmp_path / build, QUICK.filter_multiple)
        filling.run(filling.plan())
    call = {"budgets": [BUDGET], "run_dir": tmp_path / "run", "settings": QUICK, "table_only": True}
    interrupted(monkeypatch, tiny_cnn(), corner_datasets(), **call, table=tmp_path / "R1")
    with pytest.raises(UserError, match=r"build \(there R1, now R2\)"):
        adapt_network(tiny_cnn(), corner_datasets(), **call, table=tmp_path / "R2")
    assert adapt_network(tiny_cnn(), corner_datasets(), **call, table=tmp_path / "R1").budgets[0].met


@pytest.mark.slow
def test_where_no_budget_is_about_latency_the_device_does_not_matter(tmp_path, monkeypatch, plug_in):
    call = {"budgets": ["macs=60%"], "run_dir": tmp_path / "run", "settings": QUICK, "table": tmp_path / "table"}
    plug_in("R1")
    interrupted(monkeypatch, tiny_cnn(), corner_datasets(), **call)
    plug_in("R2")
    assert adapt_network(tiny_cnn(), corner_datasets(), **call).budgets[0].met
