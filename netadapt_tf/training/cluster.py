"""The machines of a training that is spread over several, as TensorFlow has them told: in the variable TF_CONFIG."""

import json
import os
from dataclasses import dataclass

from netadapt_tf.training.strategy_names import MIRRORED, NONE
from tflite_bench.errors import UserError

_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The machines, as this one sees them.

    Attributes:
        addresses: `HOST:PORT` of each; the first machine's process is the chief, the others follow it.
        own: the number of this one among them.
    """

    addresses: tuple[str, ...]
    own: int

    @property
    def chief(self) -> str:
        """Its address."""
        return self.addresses[0]

    @property
    def is_chief(self) -> bool:
        """Whether this machine adapts, and the others train along."""
        return self.own == 0


def cluster() -> Cluster:
    """What the environment says.

    Raises:
        UserError: it says nothing, or what cannot be.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise UserError(
            f"multi_worker takes its machines from the variable TF_CONFIG, which is not set; e.g. {_EXAMPLE}"
        )
    try:
        said = json.loads(text)
        jobs, task = said["cluster"], said["task"]
        addresses, kind, own = tuple(jobs["worker"]), task["type"], int(task["index"])
        names = set(jobs)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"TF_CONFIG is {text!r}, which cannot be read ({error!r}); it should be like {_EXAMPLE}"
        ) from error
    if kind != "worker" or names != {"worker"}:
        raise UserError(f"TF_CONFIG is {text!r}; all tasks should be of the type worker, as in {_EXAMPLE}")
    if len(addresses) < 2:
        raise UserError(f"TF_CONFIG names one machine; for one, take the strategy {MIRRORED} or {NONE}")
    if not 0 <= own < len(addresses):
        raise UserError(
            f"TF_CONFIG has {len(addresses)} workers; the index of this one is {own}, and should be below that"
        )
    return Cluster(addresses, own)
