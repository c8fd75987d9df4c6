"""What is still to be done, while workers come and go."""

from collections import Counter, deque
from collections.abc import Sequence

from absl import logging

from netadapt_tf.search.short_term import Portion
from tflite_bench.errors import UserError

_MOST_TRIES = 3


class Queue:
    """Portions that wait for a worker; one whose worker was lost comes first again, so often and no oftener."""

    def __init__(self, portions: Sequence[Portion]) -> None:
        """All of them wait."""
        self._waiting = deque(portions)
        self._lost: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> Portion:
        """The next one."""
        return self._waiting.popleft()

    def put_back(self, portion: Portion, how: str, *, short_of_memory: bool = False) -> None:
        """Its worker was lost.

        Args:
            portion: what it worked at.
            how: the worker ended, for messages.
            short_of_memory: whether that is how it ends where there is too little.

        Raises:
            UserError: that has happened too often.
        """
        self._lost[portion.group] += 1
        if self._lost[portion.group] >= _MOST_TRIES:
            advice = "if memory is short, take fewer workers" if short_of_memory else "see docs/scaling.md"
            raise UserError(
                f"the proposal of {portion.group} lost its worker {_MOST_TRIES} times ({how}); {advice}; "
                "the same command goes on"
            )
        logging.warning("A worker was lost (%s); the proposal of %s is tried again.", how, portion.group)
        self._waiting.appendleft(portion)
