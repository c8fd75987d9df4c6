"""NetAdapt for TensorFlow: shrink a trained Keras network to a budget measured with TensorFlow Lite.

    import netadapt_tf

    adapted = netadapt_tf.adapt_network(network, datasets, ["latency@host/cpu:1=60%"], "runs/mine")

Names are loaded when first used, since TensorFlow takes seconds to start; the lines that it starts with are hidden.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tflite_bench.binary import quiet_native_code
from tflite_bench.version import VERSION

if TYPE_CHECKING:
    from netadapt_tf.adaptation import adapt_network
    from netadapt_tf.family import finetune_iterations
    from netadapt_tf.forecast import Forecast, dry_run
    from netadapt_tf.logs import log_progress
    from netadapt_tf.outcome import AdaptedNetwork, BudgetOutcome
    from netadapt_tf.resources.own import OwnResource
    from netadapt_tf.search.executors.place import Place
    from netadapt_tf.settings import Settings
    from netadapt_tf.training.datasets import Datasets
    from netadapt_tf.training.repeatable import make_repeatable
    from netadapt_tf.training.task import Metric
    from tflite_bench.errors import UserError

__all__ = [
    "AdaptedNetwork",
    "BudgetOutcome",
    "Datasets",
    "Forecast",
    "Metric",
    "OwnResource",
    "Place",
    "Settings",
    "UserError",
    "adapt_network",
    "dry_run",
    "finetune_iterations",
    "log_progress",
    "make_repeatable",
]
__version__ = VERSION

_HOMES = {
    "AdaptedNetwork": "netadapt_tf.outcome",
    "BudgetOutcome": "netadapt_tf.outcome",
    "Datasets": "netadapt_tf.training.datasets",
    "Forecast": "netadapt_tf.forecast",
    "Metric": "netadapt_tf.training.task",
    "OwnResource": "netadapt_tf.resources.own",
    "Place": "netadapt_tf.search.executors.place",
    "Settings": "netadapt_tf.settings",
    "UserError": "tflite_bench.errors",
    "adapt_network": "netadapt_tf.adaptation",
    "dry_run": "netadapt_tf.forecast",
    "finetune_iterations": "netadapt_tf.family",
    "log_progress": "netadapt_tf.logs",
    "make_repeatable": "netadapt_tf.training.repeatable",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with quiet_native_code():
        return getattr(importlib.import_module(_HOMES[name]), name)
