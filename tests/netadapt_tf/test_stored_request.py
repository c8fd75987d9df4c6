"""What a run was asked comes back from its `config.json`."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from netadapt_tf.identity import run_identity
from netadapt_tf.request import Request
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.settings import Settings
from netadapt_tf.stored_request import read_config, request_of, settings_of
from netadapt_tf.training.task import ACCURACY
from tflite_bench.errors import UserError


@pytest.fixture
def request_(tmp_path) -> Request:
    """One in which nothing is as by default, but for what is never read back."""
    settings = Settings(
        pretrain_epochs=3,
        pretrain_learning_rate=0.04,
        initial_reduction=0.1,
        reduction_decay=0.9,
        short_term_steps=7,
        short_term_learning_rate=0.01,
        mid_term_epochs=4,
        mid_term_learning_rate=0.03,
        long_term_epochs=5,
        long_term_learning_rate=0.02,
        distillation=0.25,
        final="retrain",
        precision="int8",
        calibration_images=99,
        quantization_aware_epochs=2,
        pick="best_ratio",
        filters="taylor",
        lock="conv_pw_1",
        screen=True,
        filter_multiple=4,
        seed=11,
        strategy="mirrored",
    )
    assert all(getattr(settings, field.name) != field.default for field in dataclasses.fields(Settings))
    return Request(
        network="mobilenet_v2",
        alpha=0.5,
        resolution=96,
        weights="imagenet",
        dataset="folder:photos",
        budgets=parse_budgets(["latency@host/cpu:2=60%", "macs=10M"]),
        run_dir=tmp_path / "run",
        table=tmp_path / "table.sqlite",
        benchmark_models=("./benchmark_model",),
        table_only=True,
        preprocessing="caffe",
        augmentation="flip",
        batch_size=17,
        holdout_images=123,
        train_images=456,
        threads=3,
        allow_lambda=True,
        trust_saved_model=False,
        settings=settings,
    )


def begun(request: Request) -> None:
    identity = run_identity(None, request.identity(), request.settings, None, ACCURACY, request.table_only)
    with RunDirectory(request.run_dir, identity, request.budgets).claimed():
        pass


def read_back(request: Request) -> Request:
    return request_of(
        read_config(request.run_dir), request.run_dir, request.table, request.benchmark_models, request.allow_lambda
    )


def test_all_that_changes_results_is_read_back(request_):
    begun(request_)
    assert read_back(request_) == request_


def test_a_hold_out_set_of_the_default_size_stays_one(request_):
    by_default = dataclasses.replace(request_, holdout_images=None, table_only=False)
    begun(by_default)
    assert read_back(by_default) == by_default


def test_settings_that_a_run_does_not_know_are_as_they_were_before_they_came():
    assert settings_of({"seed": 4, "network": "tiny"}) == Settings(seed=4, distillation=0.0)
    one_rate: dict[str, Any] = {"long_term_learning_rate": 0.2}
    assert settings_of(one_rate) == Settings(**one_rate, distillation=0.0), "nothing was pre-trained"
    assert settings_of(one_rate | {"pretrain_epochs": 1}).pretrain_learning_rate == 0.2, "it was for both"
    later = one_rate | {"pretrain_epochs": 1, "pretrain_learning_rate": 0.3}
    assert settings_of(later).pretrain_learning_rate == 0.3


@pytest.mark.parametrize("change", [{"loss": "mse"}, {"metric": "mean IoU"}, {"dataset": None}])
def test_a_run_from_python_is_refused_with_what_to_call(request_, change):
    begun(request_)
    config = read_config(request_.run_dir) | change
    config = {key: value for key, value in config.items() if value is not None}
    with pytest.raises(UserError, match=r"was made from Python.*netadapt_tf\.finetune_iterations"):
        request_of(config, request_.run_dir, None, (), False)


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_folder_that_is_none_of_ours_is_refused(tmp_path: Path, content):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"is no run directory|is damaged|is not ours"):
        read_config(tmp_path)
