"""All that a report says of one run: the answer first, then why to believe it, then how to have it again."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from netadapt_tf.figures import number
from netadapt_tf.reporting import network_sections, search_sections, work_sections
from netadapt_tf.reporting.family_section import family
from netadapt_tf.reporting.figures import amount, gain, score, share, title_of, unit_of
from netadapt_tf.reporting.page import Account, Card, Section, Table, Verdict
from netadapt_tf.reporting.run_record import RunRecord
from netadapt_tf.wording import counted
from tflite_bench.adapter import remarks as device_remarks

_COUNTS = {"macs": ("millions", 1e6), "parameters": ("thousands", 1e3), "tflite_bytes": ("kB", 1e3)}
"""What every summary holds, and how it is shown: in so many."""


def account_of(run: RunRecord, key: str, name: str) -> Account:
    """The whole account.

    Args:
        run: what its directory tells.
        key: for links to it.
        name: for readers.
    """
    sections = [
        search_sections.trade_off(run),
        *([family(run)] if run.family else []),
        network_sections.filters(run),
        *([network_sections.layers(run)] if run.layers else []),
        *search_sections.predicted_against_measured(run),
        search_sections.schedule(run),
        work_sections.time(run),
        work_sections.proposals(run),
        *([network_sections.staircases(run)] if any(record["staircases"] for record in run.layers.values()) else []),
        _reproduction(run),
    ]
    on_devices = [sentence for target, facts in run.fingerprints.items() for sentence in device_remarks(target, facts)]
    return Account(
        key=key,
        name=name,
        headline=_headline(run),
        cards=_cards(run),
        verdicts=_verdicts(run),
        remarks=[*run.remarks, *on_devices, *_notes(run)],
        sections=sections,
    )


def _headline(run: RunRecord) -> str:
    if run.summary is None:
        return _headline_so_far(run)
    met = [row["met"] for row in run.summary["budgets"]]
    which = {(True, 1): "The budget is met", (False, 1): "The budget is NOT met"}.get((all(met), len(met)))
    which = which or (f"All {len(met)} budgets are met" if all(met) else f"{sum(met)} of {len(met)} budgets are met")
    if not run.summary["iterations"]:
        why = "the starting network was within already" if all(met) else "no channel group could be cut"
        return f"{which}: {why}; the start is delivered as it is."
    before, after = run.summary["accuracy"]["before"], run.summary["accuracy"]["after"]
    target, pair = next(iter(run.summary["latency_ms"].items()))
    return (
        f"{which}: latency on {target} is {share(pair['after'], pair['before'])} of what it was, {run.metric} went "
        f"from {score(before, run.metric)} to {score(after, run.metric)}."
    )


def _headline_so_far(run: RunRecord) -> str:
    if run.last is None:
        return "Not finished: the search has not begun."
    costs = [
        f"{title_of(resource)} {share(run.last.measured[resource], run.steps[0].measured.get(resource))} of the start's"
        for resource in run.resources
        if resource in run.last.measured
    ]
    found = f"hold-out {run.metric} {score(run.last.accuracy, run.metric)}"
    return f"Not finished: {counted(run.last.iteration, 'iteration')} so far; {'; '.join([*costs, found])}."


def _cards(run: RunRecord) -> list[Card]:
    metric = run.metric
    if run.summary is None:
        return _cards_so_far(run)
    accuracy = run.summary["accuracy"]
    cards = [_score_card(f"{metric.capitalize()}, test set", accuracy["before"], accuracy["after"], metric)]
    for target, pair in run.summary["latency_ms"].items():
        cards.append(_cost_card(title_of(f"latency@{target}"), pair["before"], pair["after"], "ms"))
    for name, (unit, scale) in _COUNTS.items():
        pair = run.summary[name]
        cards.append(_cost_card(title_of(name), pair["before"] / scale, pair["after"] / scale, unit))
    return cards


def _cards_so_far(run: RunRecord) -> list[Card]:
    if run.last is None:
        return []
    first, last = run.steps[0], run.last
    cards = [_score_card(f"{run.metric.capitalize()}, hold-out set", first.accuracy, last.accuracy, run.metric)]
    for resource in run.resources:
        unit = unit_of(resource, [run])
        cards.append(_cost_card(title_of(resource), first.measured.get(resource), last.measured.get(resource), unit))
    return cards


def _score_card(title: str, before: float | None, after: float | None, metric: str) -> Card:
    return Card(title, score(before, metric), score(after, metric), gain(before, after, metric))


def _cost_card(title: str, before: float | None, after: float | None, unit: str) -> Card:
    return Card(f"{title}, {unit}", number(before), number(after), share(after, before))


def _verdicts(run: RunRecord) -> list[Verdict]:
    if run.summary is None:
        return [Verdict(budget, None, "not known before the end") for budget in run.budgets]
    found = []
    for row in run.summary["budgets"]:
        resource = row["budget"].rpartition("=")[0]
        unit = unit_of(resource, [run])
        said = run.how(resource) if unit == "ms" else "reached"
        text = f"at most {amount(row['asked'], unit)}, {said} {amount(row['reached'], unit)}"
        found.append(Verdict(row["budget"], row["met"] is True, text))
    return found


def _notes(run: RunRecord) -> list[str]:
    """What a reader of the figures at the top must know."""
    summary, notes = run.summary, []
    if run.is_from_table:
        notes.append("Latencies are the table's; nothing was measured, nothing is proven.")
    if summary is None:
        return notes
    if run.config.get("pretrain_epochs"):
        notes.append(
            f"“Before” was trained without the hold-out set and “after” with it, so that its {run.metric} may be "
            "higher."
        )
    if isinstance(rounded := summary.get("float32_accuracy"), dict):
        sides = {side: score(rounded.get(side), run.metric) for side in ("before", "after")}
        notes.append(
            f"Before rounding to {summary.get('precision')}, in float32: {sides['before']} before, {sides['after']} "
            "after."
        )
    return notes


def _reproduction(run: RunRecord) -> Section:
    summary = run.summary or {}
    versions = summary.get("versions") if isinstance(summary.get("versions"), dict) else {}
    return Section(
        key="again",
        title="How to reproduce it",
        text=_how_to_repeat(run),
        listing=str(summary.get("command") or ""),
        shown=[
            _facts("Versions", "package", versions or {}),
            *(_facts(f"Target {target}", "property", facts) for target, facts in run.fingerprints.items()),
        ],
        tables=[_facts("Settings, from config.json", "setting", run.config)],
    )


def _how_to_repeat(run: RunRecord) -> list[str]:
    asked = "what it asked for stands in the table of settings."
    if run.summary is None:
        text = [f"The command is kept when a run is finished; {asked}"]
    elif run.summary.get("command"):
        text = [
            "The same command with another run directory, a filled latency table and as many training threads chooses "
            "the same networks."
        ]
    else:
        text = [f"The run was made from Python; {asked}"]
    if len(run.finished) > 1:
        text.append(f"It was finished for {', then for '.join(run.finished)}: to have it again, ask for these in turn.")
    seed = (run.summary or {}).get("seed", run.config.get("seed", "not known"))
    return [f"Seed {seed}. {text[0]}", *text[1:]]


def _facts(caption: str, what: str, facts: Mapping[str, Any]) -> Table:
    return Table(
        caption, [what, "value"], [[str(name), _plain(value)] for name, value in facts.items()], figures_from=9
    )


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return json.dumps(value)


def names_of(runs: Sequence[RunRecord]) -> list[str]:
    """A name for each run: its directory's, with folders above where two are alike."""
    parts = [run.path.absolute().parts for run in runs]
    depth = 1
    while depth < max(map(len, parts)) and len({part[-depth:] for part in parts}) < len(parts):
        depth += 1
    names = ["/".join(part[-depth:]) for part in parts]
    return [name if names.count(name) == 1 else f"{name} ({n})" for n, name in enumerate(names, 1)]
