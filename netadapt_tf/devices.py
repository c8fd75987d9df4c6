"""A run stays on the devices that it was begun on: latencies of two kinds of device are never compared."""

from collections.abc import Mapping, Sequence

from netadapt_tf.resources.budget import Budget
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.start import Costs
from tflite_bench.errors import UserError

_EVENT = "devices"


def check_devices(run: RunDirectory, budgets: Sequence[Budget], costs: Costs) -> None:
    """Sees that budgets are about the devices that the run was begun on; a run that did not keep them goes on.

    Raises:
        UserError: another phone, another build of the tool or, with a table alone, a table of another device.
    """
    record = run.journal.last(_EVENT)
    if record is None:
        return
    for target, now in _fingerprints(budgets, costs).items():
        there = record["fingerprints"].get(target, now)
        differing = [
            f"{key} (there {there.get(key, 'not known')}, now {now.get(key, 'not known')})"
            for key in sorted(there.keys() | now.keys())
            if there.get(key) != now.get(key)
        ]
        if differing:
            raise UserError(
                f"{run.path} was begun with another device for {target}; it differs in {', '.join(differing)}; go on "
                "with that one, or use another run directory"
            )


def keep_devices(run: RunDirectory, budgets: Sequence[Budget], costs: Costs) -> None:
    """Journals the devices, in a run in which nothing has been measured yet."""
    if run.journal.last(_EVENT) is None and run.journal.last("iteration") is None:
        run.journal.append(_EVENT, fingerprints=_fingerprints(budgets, costs))


def _fingerprints(budgets: Sequence[Budget], costs: Costs) -> dict[str, Mapping[str, str | int]]:
    """By target, of those that budgets are about: what decides what the search does."""
    return {str(budget.target): dict(costs.latency[budget.target].fingerprint) for budget in budgets if budget.target}
