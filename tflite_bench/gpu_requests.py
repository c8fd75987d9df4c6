"""What the process that runs models on a GPU is asked besides timings, and how it answers."""

from dataclasses import dataclass

WHICH_ADAPTER = "which adapter?"


@dataclass(frozen=True)
class GpuAnswer:
    """An answer, and what was left to the CPU on the way.

    Attributes:
        reply: a `Reading`, a `Comparison` or, to `WHICH_ADAPTER`, an `Adapter`.
        left: operators that the GPU did not take, each with the accelerator's reason; none where that is not allowed.
    """

    reply: object
    left: tuple[str, ...] = ()
