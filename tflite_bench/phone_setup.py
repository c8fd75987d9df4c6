"""What is chosen for a phone by what it says of itself: the binary that it runs, and the cores that it is pinned to."""

from collections.abc import Sequence

from absl import logging

from tflite_bench.benchmark_model import ToolBinary
from tflite_bench.errors import UserError
from tflite_bench.phone_facts import Facts, big_cores
from tflite_bench.target import Target


def fitting_binary(name: str, facts: Facts, binaries: Sequence[ToolBinary]) -> ToolBinary:
    """The binary for the ABI that the phone likes best.

    Raises:
        UserError: none of them runs there.
    """
    for abi in facts.abis:
        for binary in binaries:
            if binary.abi == abi:
                return binary
    given = ", ".join(f"{binary.path} ({binary.abi or 'ABI unknown'})" for binary in binaries) or "none"
    runs = ", ".join(facts.abis) or "no ABI that it names"
    raise UserError(f"{name} ({facts.model}) runs {runs}; --benchmark_model names {given}")


def pinned_cores(name: str, facts: Facts, target: Target) -> tuple[int, ...]:
    """The cores that the tool is pinned to: the fastest, or for a GPU all but the slowest; none if it cannot be.

    Raises:
        UserError: the target asks for cores, or for more threads, than can be had.
    """
    threads = target.threads if target.delegate == "cpu" else 1
    if target.cores is not None:
        return _masked(name, facts, target, target.cores, threads)
    if not facts.has_taskset or not facts.core_khz:
        logging.warning("On %s nothing is pinned: it has no taskset, or does not tell how fast its cores are.", name)
        return ()
    online = {core: khz for core, khz in facts.core_khz.items() if core in facts.online}
    if online and max(online.values()) < max(facts.core_khz.values()):
        logging.warning("On %s the fastest cores are switched off; slower ones are measured.", name)
    if len(online) < threads:
        raise UserError(f"{target} asks for {threads} threads; {name} has {len(online)} cores")
    if target.delegate != "cpu":
        return tuple(core for core, khz in online.items() if khz > min(online.values()))
    return big_cores(online, threads)


def _masked(name: str, facts: Facts, target: Target, cores: tuple[int, ...], threads: int) -> tuple[int, ...]:
    if not facts.has_taskset:
        raise UserError(f"{name} has no taskset; leave out cores={target.option('cores')}")
    if len(cores) < threads:
        raise UserError(f"{target}: the mask holds {len(cores)} cores, for {threads} threads")
    absent = [core for core in cores if facts.online and core not in facts.online]
    if absent:
        there = ", ".join(map(str, sorted(facts.online)))
        raise UserError(f"{target}: {name} has the cores {there} switched on, and not {', '.join(map(str, absent))}")
    return cores
