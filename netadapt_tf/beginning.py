"""The starting network of a run: converted, pre-trained where that is asked for, and measured; each once."""

from absl import logging

from netadapt_tf.search.iterate import Iterate, recorded_costs
from netadapt_tf.start import Costs, Start, start_of
from netadapt_tf.training.stages import PRE_TRAINING, evaluate, train
from netadapt_tf.wording import counted
from netadapt_tf.work import Work
from tflite_bench.damage import set_aside
from tflite_bench.errors import InvalidModelError


def as_given(work: Work) -> Start:
    """The starting network, perhaps untrained: enough to know its layers."""
    problem, kept = work.problem, work.run.file("start.tflite")
    if kept.exists():
        try:
            return start_of(problem.network, problem.channels, kept.read_bytes(), problem.settings.filters)
        except InvalidModelError as error:
            logging.warning("%s is damaged (%s); the starting network is converted anew.", kept, error)
    logging.info("Converting the starting network.")
    with work.clock("convert"):
        return start_of(problem.network, problem.channels, problem.convert(problem.network), problem.settings.filters)


def trained(work: Work, start: Start) -> Start:
    """Pre-trains where that is asked for, and keeps the starting network; what is kept is not done again."""
    run, settings = work.run, work.problem.settings
    to_train = settings.pretrain_epochs > 0 and not run.has_iteration(0)
    if to_train:
        logging.info("Pre-training for %s.", counted(settings.pretrain_epochs, "epoch"))
        with work.clock("pretrain"):
            train(
                start.network,
                work.problem.task,
                work.problem.datasets.train,
                settings.seed,
                settings.pretrain_epochs,
                settings.pretrain_learning_rate,
                PRE_TRAINING,
                run.checkpoint(PRE_TRAINING),
                work.strategy,
            )
    if not run.has_iteration(0):
        run.save_iteration(0, start.network, start.widths)
    run.mend_widths(start.widths)
    run.checkpoint(PRE_TRAINING).discard()
    kept = run.file("start.tflite")
    if kept.exists():
        if kept.read_bytes() == start.tflite:
            return start
        logging.warning("%s is set aside as %s.", kept, set_aside(kept).name)
    tflite = start.tflite
    if to_train:
        with work.clock("convert"):
            tflite = work.problem.convert(start.network)
    run.write_bytes("start.tflite", tflite)
    return start_of(start.network, start.channels, tflite)


def measured_start(work: Work, start: Start, costs: Costs) -> Iterate:
    """Iteration 0: the starting network, measured."""
    record = next(work.run.journal.events("iteration"), None)
    if record is None:
        predicted, measured = {}, {}
        with work.clock("measure"):
            for name, resource in costs.budgeted.items():
                resource.prepare([start.widths])
                predicted[name], measured[name] = resource.predict(start.widths), resource.measure(start.widths).start
        with work.clock("evaluate"):
            holdout_accuracy = evaluate(start.network, work.problem.task, work.problem.datasets.holdout)
        record = work.run.journal.append(
            "iteration",
            iteration=0,
            picked=None,
            accuracy=holdout_accuracy,
            predicted=predicted,
            measured=measured,
            spread=dict.fromkeys(measured, 0.0),
            **costs.counted(start.widths),
            wall_s=work.clock.lap("other"),
        )
    measured = {name: record["measured"][name] for name in costs.budgeted}
    return Iterate(0, start.network, start.channels, record["accuracy"], recorded_costs(measured, record))
