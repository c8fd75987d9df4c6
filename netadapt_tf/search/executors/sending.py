"""Whether what workers need can be sent to them: told part by part, so that a message can name what cannot."""

import pickle
import sys
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tf_keras

from netadapt_tf.networks.own_objects import own_objects
from netadapt_tf.training.datasets import Datasets
from netadapt_tf.training.task import Task
from netadapt_tf.wording import one_line
from tflite_bench.errors import UserError


def parts_of_bench(datasets: Callable[[], Datasets], task: Task) -> dict[str, Any]:
    """What fine-tunes of all iterations have in common, by what it is called in messages."""
    return {"datasets": datasets, "loss": task.loss, "metric": task.metric.make}


def parts_of_network(network: tf_keras.Model) -> dict[str, Any]:
    """What of a network its caller has brought, by what it is called in messages."""
    own = {id(one): one for one in own_objects(network.layers).values()}.values()
    kinds = {
        f"{'class' if isinstance(one, type) else 'function'} {one.__qualname__} of the network": one for one in own
    }
    return kinds | {f"configuration of the layer {layer.name}": layer.get_config() for layer in network.layers}


def check_parts(parts: Mapping[str, Any], pickler: Callable[[Any], object], whither: str) -> None:
    """Sees that each part can be sent.

    Args:
        parts: by what they are called in messages.
        pickler: pickles a part; it raises what pickling raises.
        whither: they are to be sent.

    Raises:
        UserError: one cannot.
    """
    for what, part in parts.items():
        try:
            pickler(part)
        except Exception as error:  # pickling runs the parts' own code
            raise UserError(
                f"the {what} cannot be sent to {whither} ({type(error).__name__}: {one_line(error)}); give functions "
                "and classes that a module defines by name, or take the executor serial"
            ) from error


def pickled_for_processes(part: Any) -> None:
    """Pickles as for processes of this machine, and keeps nothing.

    Raises:
        Exception: it cannot be pickled, or a new process would not find it.
    """
    _Pickler(_Nowhere(), pickle.HIGHEST_PROTOCOL, buffer_callback=lambda _: None).dump(part)


class _Pickler(pickle.Pickler):
    """Refuses what stands in a notebook or at a prompt: pickle sends its name only, and a new process has none such."""

    def reducer_override(self, part: Any) -> Any:
        """See `pickle.Pickler`."""
        if isinstance(part, type | types.FunctionType) and part.__module__ == "__main__" and not _main_is_a_file():
            raise pickle.PicklingError(f"{part.__qualname__} stands in no file, from which workers could import it")
        return NotImplemented


class _Nowhere:
    """A file that keeps nothing."""

    def write(self, content: Any) -> int:
        return len(content)


def _main_is_a_file() -> bool:
    main = sys.modules["__main__"]
    return getattr(main, "__spec__", None) is not None or Path(getattr(main, "__file__", "")).is_file()
