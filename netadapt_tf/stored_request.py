"""What a run directory's `config.json` says was asked for, read back."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from netadapt_tf.request import Request
from netadapt_tf.resources.budget import parse_budgets
from netadapt_tf.settings import Settings, with_settings_before
from netadapt_tf.training.data_names import HOLDOUT_IMAGES
from tflite_bench.errors import UserError

_OF_A_COMMAND = {
    *("network", "dataset", "preprocessing", "augmentation", "batch_size", "train_images", "holdout_images", "threads")
}
_LOSS_AND_METRIC_OF_A_COMMAND = ("default", "accuracy")


def check_run_directory(path: Path) -> None:
    """Sees that a folder is a run directory.

    Raises:
        UserError: it is none.
    """
    if not path.is_dir():
        raise UserError(f"{path} is no folder; name the run directory of an adaptation")
    if not (path / "config.json").is_file():
        raise UserError(f"{path} is no run directory: it holds no config.json; name the one of an adaptation")


def read_config(run_dir: Path) -> dict[str, Any]:
    """The contents of `config.json`.

    Raises:
        UserError: there is no run directory, or the file is damaged.
    """
    check_run_directory(run_dir)
    path = run_dir / "config.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}); name another run directory") from error
    if not isinstance(config, dict) or not {"hash", "budgets"} <= config.keys():
        raise UserError(f"{run_dir} holds a config.json that is not ours; name another folder")
    return config


def settings_of(config: Mapping[str, Any]) -> Settings:
    """The settings of a run."""
    whole = with_settings_before(config)
    return Settings(**{field.name: whole[field.name] for field in fields(Settings)})


def request_of(
    config: Mapping[str, Any], run_dir: Path, table: Path | None, benchmark_models: tuple[str, ...], allow_lambda: bool
) -> Request:
    """The flags of the command that a run was begun with, as far as they change results; its network is in the run.

    Args:
        config: the contents of `config.json`.
        run_dir: the run directory.
        table: file of the latency table.
        benchmark_models: see `tflite_bench.meters.Meters`.
        allow_lambda: whether its networks may hold programs.

    Raises:
        UserError: it was begun from Python, whose data, loss and metric cannot be read back.
    """
    loss_and_metric = config.get("loss"), config.get("metric")
    if not config.keys() >= _OF_A_COMMAND or loss_and_metric != _LOSS_AND_METRIC_OF_A_COMMAND:
        raise UserError(
            f"{run_dir} was made from Python, with data, a loss or a metric that cannot be read back; call "
            "netadapt_tf.finetune_iterations with them"
        )
    holdout_images = config["holdout_images"]
    return Request(
        network=config["network"],
        alpha=config.get("alpha"),
        resolution=config.get("resolution"),
        weights=config.get("weights"),
        dataset=config["dataset"],
        budgets=parse_budgets(config["budgets"]),
        run_dir=run_dir,
        table=table,
        benchmark_models=benchmark_models,
        table_only=config.get("table_only", False),
        preprocessing=config["preprocessing"],
        augmentation=config["augmentation"],
        batch_size=config["batch_size"],
        holdout_images=None if holdout_images == HOLDOUT_IMAGES else holdout_images,
        train_images=config["train_images"],
        threads=config["threads"],
        allow_lambda=allow_lambda,
        trust_saved_model=False,
        settings=settings_of(config),
    )
