"""What makes a run this run and no other: everything that changes its results."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import tf_keras

from netadapt_tf.search.run_directory import RESERVED
from netadapt_tf.settings import Settings
from netadapt_tf.training.replicas import replica_count
from netadapt_tf.training.task import Loss, Metric
from tflite_bench.errors import UserError


def run_identity(
    network: tf_keras.Model | None,
    identity: Mapping[str, Any] | None,
    settings: Settings,
    loss: Loss | None,
    metric: Metric,
    table_only: bool = False,
) -> dict[str, Any]:
    """Everything that changes the results of a run, as JSON values.

    Args:
        network: what the digest is of, where there is no identity.
        identity: what the caller says is adapted.
        settings: how to adapt.
        loss: None for the default.
        metric: what proposals are ranked by.
        table_only: whether latencies are the table's alone.

    Raises:
        UserError: the identity holds no JSON values, or takes a name that is taken.
    """
    if identity is None and network is not None:
        identity = {"network": network.name, "network_sha256": _digest(network)}
    own = {
        **asdict(settings),
        "replicas": replica_count(settings.strategy),
        "loss": "default" if loss is None else getattr(loss, "name", getattr(loss, "__name__", type(loss).__name__)),
        "metric": metric.name,
        "larger_is_better": metric.larger_is_better,
        "table_only": table_only,
    }
    taken = {*own, *RESERVED} & set(identity or {})
    if taken:
        raise UserError(f"identity takes {', '.join(sorted(taken))}, which the run directory uses itself")
    try:
        return json.loads(json.dumps({**(identity or {}), **own}))
    except (TypeError, ValueError) as error:
        raise UserError(f"identity should hold JSON values: {error}") from error


def _digest(network: tf_keras.Model) -> str:
    """Of structure and weights, and not of layers' names, which Keras counts up within a process."""
    numbers = {layer.name: f"layer {number}" for number, layer in enumerate(network.layers)}

    def unnamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: unnamed(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [unnamed(part) for part in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    config = {key: unnamed(value) for key, value in network.get_config().items() if key != "name"}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for weight in network.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()
