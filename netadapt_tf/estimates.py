"""Whether sums of layers tell the latency of whole networks, where a delegate takes these whole."""

from absl import logging

from netadapt_tf.start import Costs, Start, halfway
from netadapt_tf.work import Work

_MAX_BEND = 1.25  # of estimate / measurement between widths


def check_estimates(work: Work, start: Start, costs: Costs) -> None:
    """Where a delegate takes networks whole, sees at three widths whether the sum of the layers tells their latency."""
    narrowest = start.narrowest(work.problem.settings.filter_multiple)
    widths = {"full": start.widths, "middle": halfway(start.widths, narrowest), "least": narrowest}
    checked = {record["target"] for record in work.run.journal.events("estimates")}
    for target, latency in costs.latency.items():
        if not latency.delegated or str(target) in checked:
            continue
        with work.clock("measure"):
            predicted = {name: latency.predict(of_groups) for name, of_groups in widths.items()}
            measured = {name: latency.measure(of_groups).value for name, of_groups in widths.items()}
        work.run.journal.append("estimates", target=str(target), predicted=predicted, measured=measured)
        ratios = [predicted[name] / measured[name] for name in widths]
        logging.info(
            "Estimate / measurement on %s, at full, middle and least width: %s.",
            target,
            ", ".join(f"{ratio:.2f}" for ratio in ratios),
        )
        if max(ratios) > _MAX_BEND * min(ratios):
            logging.warning(
                "On %s the sum of the layers tells little of whole networks: the estimates' errors differ by %.0f %% "
                "between widths. Every iteration is measured, but may save more or less than it was to.",
                target,
                100 * (max(ratios) / min(ratios) - 1),
            )
