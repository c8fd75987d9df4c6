"""What a run directory tells of its run: finished or not, of this version or an earlier one, whole or damaged.

Only files of the directory are read, none is written. What is not there is left out, and `remarks` say so.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netadapt_tf.figures import ACCURACY
from netadapt_tf.search.file_names import FAMILY, LAYERS
from netadapt_tf.search.journal import Journal
from netadapt_tf.search.mending import read_summary
from netadapt_tf.stored_request import check_run_directory
from tflite_bench.errors import UserError

PICKED, LOST, SCREENED, DISCARDED, FAILED = "picked", "not picked", "screened out", "broke a budget", "failed"
"""What became of a proposal."""


@dataclass(frozen=True)
class Step:
    """An iteration and its network; 0 is the start.

    Attributes:
        iteration: its number.
        picked: the channel group that shrank; None for the start.
        accuracy: on the hold-out set.
        constraint: what the network was allowed to cost, by resource; of those that the iteration worked for.
        predicted: what it was to cost, by resource.
        measured: what it costs by the search's measurement, on the scale of the start's.
        spread: by how much `measured` may be off.
        widths: filters by channel group; empty where that is not known.
    """

    iteration: int
    picked: str | None
    accuracy: float | None
    constraint: Mapping[str, float]
    predicted: Mapping[str, float]
    measured: Mapping[str, float]
    spread: Mapping[str, float]
    widths: Mapping[str, int]


@dataclass(frozen=True)
class Offer:
    """A proposal.

    Attributes:
        iteration: of the search.
        group: the channel group that it shrinks.
        filters: how many that keeps.
        accuracy: on the hold-out set, after the short-term fine-tune; None where that failed.
        loss: likewise; None where it is no number or, in a run of an earlier release, was not kept.
        predicted: what it was to cost, by resource.
        fate: one of `PICKED`, `LOST`, `SCREENED`, `DISCARDED`, `FAILED`.
    """

    iteration: int
    group: str
    filters: int
    accuracy: float | None
    loss: float | None
    predicted: Mapping[str, float]
    fate: str


@dataclass(frozen=True)
class RunRecord:
    """A run, as its directory tells it.

    Attributes:
        path: of the directory.
        config: what was asked for.
        summary: None where the run is not finished.
        steps: the start and every iteration.
        offers: every proposal, in the order of the journal.
        layers: by target, what `layers.json` holds; empty where there is none.
        wall_s: seconds by kind of work.
        family: summaries of the networks that were delivered besides the run's own, by their folder in `family/`.
        fingerprints: of the devices, by target.
        finished: the budgets that the run was finished for, one after the other.
        remarks: sentences on what is missing, and why.
    """

    path: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any] | None
    steps: Sequence[Step]
    offers: Sequence[Offer]
    layers: Mapping[str, Any]
    wall_s: Mapping[str, float]
    family: Mapping[str, Mapping[str, Any]]
    fingerprints: Mapping[str, Mapping[str, Any]]
    finished: Sequence[str]
    remarks: Sequence[str]

    @property
    def network(self) -> str:
        """The starting network, by name or file."""
        return str(self.config.get("network", "the network"))

    @property
    def budgets(self) -> Sequence[str]:
        """As they were asked for."""
        if self.summary is not None:
            return [row["budget"] for row in self.summary["budgets"]]
        asked = self.config.get("budgets")
        return list(map(str, asked)) if isinstance(asked, list) else []

    @property
    def resources(self) -> Sequence[str]:
        """What the budgets are about."""
        return [budget.rpartition("=")[0] for budget in self.budgets]

    @property
    def metric(self) -> str:
        """What proposals are ranked by."""
        told = self.summary.get("metric") if self.summary is not None else None
        return str(told["name"] if isinstance(told, dict) and "name" in told else self.config.get("metric", ACCURACY))

    @property
    def is_from_table(self) -> bool:
        """Whether latencies are the latency table's alone, so that nothing was measured."""
        if self.summary is not None:
            return self.summary.get("latency_is_from") == "table"
        return self.config.get("table_only") is True

    def how(self, resource: str) -> str:
        """How it is known what a network costs of a resource."""
        return "by the table" if self.is_from_table and resource.startswith("latency@") else "measured"

    @property
    def last(self) -> Step | None:
        """The network that the search has come to."""
        return self.steps[-1] if self.steps else None


def read_run(path: Path) -> RunRecord:
    """Reads a run directory.

    Raises:
        UserError: it is none, or nothing of it can be read.
    """
    check_run_directory(path)
    remarks: list[str] = []
    config = _object(path / "config.json", remarks)
    if config and "hash" not in config:
        raise UserError(f"{path} holds a config.json that is not ours; name another folder")
    journal = Journal(path / "journal.jsonl")
    if journal.damage:
        remarks.append(f"journal.jsonl is damaged ({journal.damage}); what stands before the damage is shown.")
    summary = _summary(path / "summary.json", remarks)
    steps = _steps(path, journal, remarks)
    offers = _offers(journal)
    if summary is not None and steps and steps[-1].iteration > summary["iterations"]:
        remarks.append(
            f"The search has gone on to iteration {steps[-1].iteration}, for another budget, and is not finished. "
            f"Shown is what was finished before, with iteration {summary['iterations']}."
        )
        steps = [step for step in steps if step.iteration <= summary["iterations"]]
        offers = [offer for offer in offers if offer.iteration <= summary["iterations"]]
    layers = _layers(path / LAYERS, summary, remarks)
    devices = (journal.last("devices") or {}).get("fingerprints")
    fingerprints = summary["target"] if summary is not None else devices if isinstance(devices, dict) else {}
    return RunRecord(
        path=path,
        config=config,
        summary=summary,
        steps=steps,
        offers=offers,
        layers=layers,
        wall_s=journal.wall_s(),
        family=_family(path, remarks),
        fingerprints={str(target): facts for target, facts in fingerprints.items() if isinstance(facts, dict)},
        finished=list(dict.fromkeys(str(record["budget"]) for record in journal.events("finished"))),
        remarks=remarks,
    )


def _object(path: Path, remarks: list[str]) -> dict[str, Any]:
    """A JSON file's object; empty where it is damaged, which is then remarked."""
    try:
        value = json.loads(path.read_text())
        if isinstance(value, dict):
            return value
    except (OSError, ValueError):
        pass
    remarks.append(f"{path.name} is damaged; what it held is left out.")
    return {}


def _summary(path: Path, remarks: list[str]) -> dict[str, Any] | None:
    """What `summary.json` holds, if all is there that every version wrote."""
    if not path.exists():
        remarks.append("The run is not finished: there is no summary.json. Shown is what is finished so far.")
        return None
    summary = read_summary(path)
    if summary is None or not _is_complete(summary):
        remarks.append("summary.json is damaged; the run is shown as if it were not finished.")
        return None
    return summary


def _family(path: Path, remarks: list[str]) -> dict[str, dict[str, Any]]:
    """The summaries of the members; one that is damaged is left out, and remarked."""
    found = {}
    for file in sorted(path.glob(f"{FAMILY}/*/summary.json")):
        summary = read_summary(file)
        if summary is None or not _is_complete(summary):
            remarks.append(f"{file.relative_to(path)} is damaged; that network of the family is left out.")
        else:
            found[file.parent.name] = summary
    return found


def _is_complete(summary: Mapping[str, Any]) -> bool:
    pairs = [summary.get(name) for name in ("accuracy", "macs", "parameters", "tflite_bytes")]
    latencies = summary.get("latency_ms")
    if not isinstance(latencies, dict) or not isinstance(summary.get("target"), dict):
        return False
    return (
        all(_has_numbers(pair, "before", "after") for pair in [*pairs, *latencies.values()])
        and all(_has_numbers(row, "asked", "reached") and "met" in row for row in summary["budgets"])
        and _is_number(summary.get("iterations"))
    )


def _has_numbers(value: Any, *names: str) -> bool:
    return isinstance(value, dict) and all(_is_number(value.get(name)) for name in names)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _steps(path: Path, journal: Journal, remarks: list[str]) -> list[Step]:
    steps: list[Step] = []
    widths: dict[str, int] = {}
    for record in journal.events("iteration"):
        kept = path / "iterations" / f"{record['iteration']:03d}" / "widths.json"
        found = _widths(kept)
        if not found:
            remarks.append(
                f"{kept.relative_to(path)} is damaged or gone; the filters of iteration {record['iteration']} are "
                + ("those before it, less what it picked." if widths else "left out.")
            )
        widths = found or _after(widths, record)
        steps.append(
            Step(
                iteration=record["iteration"],
                picked=_text_or_none(record.get("picked")),
                accuracy=_finite(record["accuracy"]),
                constraint=_numbers(record.get("constraint")),
                predicted=_numbers(record["predicted"]),
                measured=_numbers(record["measured"]),
                spread=_numbers(record["spread"]),
                widths=widths,
            )
        )
    return steps


def _widths(path: Path) -> dict[str, int]:
    try:
        widths = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(widths, dict) or not all(isinstance(filters, int) for filters in widths.values()):
        return {}
    return widths


def _after(widths: Mapping[str, int], record: Mapping[str, Any]) -> dict[str, int]:
    """Of an iteration whose file is gone: those before it, and what it picked."""
    picked, filters = str(record.get("picked")), record.get("filters")
    return {**widths, picked: filters} if picked in widths and isinstance(filters, int) else dict(widths)


def _offers(journal: Journal) -> list[Offer]:
    picked = {
        (record["iteration"], record.get("picked"), record.get("filters")) for record in journal.events("iteration")
    }
    discarded = {(record["iteration"], record["group"], record["filters"]) for record in journal.events("discarded")}
    found: dict[tuple[int, str, int], Offer] = {}
    for record in journal.events():
        if record["event"] not in ("screened", "proposal", "failed"):
            continue
        iteration, group, filters = cut = record["iteration"], str(record["group"]), record["filters"]
        fate = {"screened": SCREENED, "failed": FAILED}.get(record["event"], LOST)
        if fate == LOST and cut in picked:
            fate = PICKED
        elif fate == LOST and cut in discarded:
            fate = DISCARDED
        accuracy, loss = (_finite(record.get(name)) for name in ("accuracy", "loss"))
        found[cut] = Offer(iteration, group, filters, accuracy, loss, _numbers(record.get("predicted")), fate)
    return list(found.values())


def _layers(path: Path, summary: Mapping[str, Any] | None, remarks: list[str]) -> dict[str, Any]:
    """What `layers.json` holds, target by target; what is damaged is left out, and remarked."""
    if not path.exists():
        if summary is not None:
            remarks.append(
                "There is no layers.json, which holds the latency of layers (earlier versions did not keep it): the "
                "section on them and the staircases are left out."
            )
        return {}
    layers = _object(path, remarks)
    for target in [target for target, record in layers.items() if not _is_layers(record)]:
        remarks.append(f"What layers.json holds of {target} is damaged; it is left out.")
        del layers[target]
    return layers


def _is_layers(record: Any) -> bool:
    try:
        sides = [layer[side] for layer in record["layers"] for side in ("before", "after")]
        shapes = [size for side in sides for size in side["output_shape"]]
        stairs = [pair for stair in record["staircases"] for pair in _stairs(stair)]
        texts = [layer[name] for layer in record["layers"] for name in ("name", "kind")]
        texts += [stair["group"] for stair in record["staircases"]]
        known = [record["call_ms"], *(side["latency_ms"] for side in sides), *(latency_ms for _, latency_ms in stairs)]
    except (KeyError, TypeError, ValueError):
        return False
    return (
        bool(sides)
        and all(isinstance(text, str) for text in texts)
        and all(_finite(number) is not None for number in [*shapes, *(filters for filters, _ in stairs)])
        and all(latency_ms is None or _finite(latency_ms) is not None for latency_ms in known)
    )


def _stairs(stair: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Numbers of filters and their milliseconds."""
    yield from ((stair[side], None) for side in ("before", "after"))
    yield from zip(stair["filters"], stair["latency_ms"], strict=True)


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _finite(value: Any) -> float | None:
    return float(value) if _is_number(value) and math.isfinite(value) else None


def _numbers(values: Any) -> dict[str, float]:
    """The finite numbers of an object."""
    if not isinstance(values, dict):
        return {}
    return {str(name): float(value) for name, value in values.items() if _finite(value) is not None}
