"""The report on a search's work: every proposal, and where the time went."""

from netadapt_tf.figures import number
from netadapt_tf.reporting.charts import FAINT, LOUD, SERIES, count, kinds_of_dots, labelled_bars
from netadapt_tf.reporting.figures import amount, score, seconds, share, title_of, unit_of
from netadapt_tf.reporting.page import Chart, Section, Table
from netadapt_tf.reporting.run_record import DISCARDED, FAILED, LOST, PICKED, SCREENED, RunRecord
from netadapt_tf.reporting.search_sections import score_axis
from netadapt_tf.wording import counted

_FATES = {
    LOST: (FAINT, "circle"),
    SCREENED: (SERIES[4], "triangle-down"),
    DISCARDED: (SERIES[3], "cross"),
    PICKED: (LOUD, "diamond"),
}
"""How what became of proposals is drawn, from below to above."""

_WORK = {
    "pretrain": "pre-training",
    "measure": "measuring",
    "short_term": "short-term fine-tunes",
    "mid_term": "mid-term fine-tunes",
    "evaluate": "evaluation",
    "search_overhead": "rest of the search",
    "long_term": "last stage",
    "quantization_aware": "quantisation-aware training",
    "convert": "conversion",
    "other": "other",
}
"""Kinds of work, as readers know them."""


def time(run: RunRecord) -> Section:
    """Where the time went."""
    spent = {kind: wall_s for kind, wall_s in run.wall_s.items() if wall_s > 0}
    total_s = sum(spent.values())
    if not total_s:
        return Section("time", "Where the time went", ["Nothing has been timed yet."])
    rows = [
        {
            "name": _WORK.get(kind, kind),
            "value": wall_s / 60,
            "text": f"{seconds(wall_s)}, {share(wall_s, total_s, 0)}",
            "tip": f"{_WORK.get(kind, kind)}: {seconds(wall_s)}",
        }
        for kind, wall_s in sorted(spent.items(), key=lambda item: -item[1])
    ]
    words = "; ".join(f"{row['name']} {row['text']}" for row in rows)
    return Section(
        key="time",
        title="Where the time went",
        text=[f"{seconds(total_s)} in all."],
        charts=[Chart("Wall time by kind of work", f"Wall time: {words}.", labelled_bars(rows, "minutes"))],
        tables=[
            Table(
                "Wall time by kind of work",
                ["work", "seconds", "share"],
                [[_WORK.get(kind, kind), f"{s:.1f}", share(s, total_s)] for kind, s in spent.items()],
            )
        ],
    )


def proposals(run: RunRecord) -> Section:
    """Every iteration's proposals, and the one that was picked."""
    metric = run.metric
    rows = [
        {
            "iteration": offer.iteration,
            "score": offer.accuracy,
            "kind": offer.fate,
            "tip": "\n".join(
                [
                    f"Iteration {offer.iteration}: {offer.group} at {offer.filters} filters, {offer.fate}",
                    f"hold-out {metric}: {score(offer.accuracy, metric)}",
                    f"hold-out loss: {number(offer.loss)}",
                    *(
                        f"{title_of(name)}, predicted: {amount(cost, unit_of(name, [run]))}"
                        for name, cost in offer.predicted.items()
                    ),
                ]
            ),
        }
        for offer in sorted(run.offers, key=lambda offer: list(_FATES).index(offer.fate) if offer.fate in _FATES else 0)
        if offer.accuracy is not None
    ]
    if not rows:
        return Section("proposals", "Every proposal", ["No proposal has been fine-tuned."])
    kinds = {fate: style for fate, style in _FATES.items() if any(row["kind"] == fate for row in rows)}
    most = max(offer.iteration for offer in run.offers)
    chart = Chart(
        f"Hold-out {metric} of all proposals",
        f"{counted(len(rows), 'proposal')} of {counted(most, 'iteration')} by hold-out {metric}; the table names each.",
        kinds_of_dots(rows, count("iteration", "iteration", most), score_axis(metric), kinds),
    )
    failed = sum(offer.fate == FAILED for offer in run.offers)
    head = ["iteration", "channel group", "outcome", "filters", f"hold-out {metric}", "hold-out loss"]
    head += [f"{title_of(name)}, {unit_of(name, [run])}: predicted" for name in run.resources]
    table = Table(
        "Proposals",
        head,
        [
            [
                str(offer.iteration),
                offer.group,
                offer.fate,
                str(offer.filters),
                score(offer.accuracy, metric),
                number(offer.loss),
                *(number(offer.predicted.get(name)) for name in run.resources),
            ]
            for offer in run.offers
        ],
        marked=[position for position, offer in enumerate(run.offers) if offer.fate == PICKED],
        figures_from=3,
    )
    return Section(
        key="proposals",
        title="Every proposal",
        text=[
            "In every iteration each channel group proposes the network with itself shrunk, just enough to meet what "
            f"is allowed. Each proposal has had its short-term fine-tune; {_picking(run)}{_recovery(run)}. Where no "
            "group can meet it, each offers its largest cut, and the one that loses least for what it saves is picked."
            + (f" {failed} failed and stand in the table only." if failed else "")
        ],
        charts=[chart],
        tables=[table],
    )


def _recovery(run: RunRecord) -> str:
    return ", and had a mid-term fine-tune before the next iteration" if run.config.get("mid_term_epochs") else ""


def _picking(run: RunRecord) -> str:
    pick = run.config.get("pick")
    if pick == "best_ratio":
        return "the one that loses least for what it saves was picked"
    return f"the one of the {'lowest loss' if pick == 'lowest_loss' else f'best {run.metric}'} was picked"
