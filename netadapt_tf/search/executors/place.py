"""Where a search runs, as it is asked for; nothing here changes what it finds."""

import math
from dataclasses import dataclass

from tflite_bench.errors import UserError

EXECUTORS = ("serial", "processes", "ray")


@dataclass(frozen=True)
class Place:
    """Where proposals are fine-tuned.

    Attributes:
        executor: `serial`: one after the other, in this process. `processes`: in several processes of this machine.
            `ray`: in workers of a Ray cluster.
        workers: how many proposals are fine-tuned at the same time; 0 for as many as the cores, or the cluster, have
            room for.
        ray_address: of the cluster; empty starts one of this machine.
        cpus_per_proposal: that Ray sets aside for each; 0 for as many as there are training threads.
        gpus_per_proposal: the same; a part of one lets proposals share it.
    """

    executor: str = "serial"
    workers: int = 0
    ray_address: str = ""
    cpus_per_proposal: int = 0
    gpus_per_proposal: float = 0.0

    def __post_init__(self) -> None:
        """Refuses what cannot be.

        Raises:
            UserError: an unknown executor, a negative number, or a choice that another executor has.
        """
        if self.executor not in EXECUTORS:
            raise UserError(f"executor is {self.executor!r}; it should be {' or '.join(EXECUTORS)}")
        for name in ("workers", "cpus_per_proposal", "gpus_per_proposal"):
            value = getattr(self, name)
            kinds = (int, float) if name == "gpus_per_proposal" else (int,)
            if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value < math.inf:
                raise UserError(f"{name} is {value!r}; it should be a number of at least 0")
        own = {"workers": self.workers} if self.executor == "serial" else {}
        if self.executor != "ray":
            own |= {n: getattr(self, n) for n in ("ray_address", "cpus_per_proposal", "gpus_per_proposal")}
        for name, value in own.items():
            if value:
                raise UserError(f"{name} is {value!r}, which means nothing to the executor {self.executor}")
