"""The mid-term fine-tune: an iteration's picked network recovers before the next iteration cuts it again.

Not in the paper, whose short-term fine-tunes are long enough for that. Here only one of an iteration's proposals is
trained for long, which costs little, and the next ones are compared where accuracy tells them apart.
"""

import tf_keras
from absl import logging

from netadapt_tf.search.proposals import proposal_seed
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.training.checkpoint import Checkpoint
from netadapt_tf.training.stages import DivergenceError, evaluate, train
from netadapt_tf.work import Work

_MID_TERM = "mid-term fine-tune"


def checkpoint_of(run: RunDirectory) -> Checkpoint:
    """Where the mid-term fine-tune that is under way keeps its finished epochs; discarding it is the caller's."""
    return run.checkpoint("mid-term")


def mid_term(work: Work, iteration: int, network: tf_keras.Model) -> float | None:
    """Trains in place, on one device, and goes on with what an interrupted call finished.

    Args:
        work: what all stages share.
        iteration: whose proposal was picked.
        network: the picked proposal's, narrowed.

    Returns:
        The metric on the hold-out set; None where the training diverged, and the network is left as it was.
    """
    problem, settings = work.problem, work.problem.settings
    before = network.get_weights()
    try:
        with work.clock("mid_term"):
            train(
                network,
                problem.task,
                problem.datasets.train,
                proposal_seed(settings.seed, iteration, _MID_TERM),
                settings.mid_term_epochs,
                settings.mid_term_learning_rate,
                _MID_TERM,
                checkpoint_of(work.run),
            )
    except DivergenceError as error:
        network.set_weights(before)
        logging.warning("Iteration %d goes on without its mid-term fine-tune: %s.", iteration, error)
        return None
    with work.clock("evaluate"):
        return evaluate(network, problem.task, problem.datasets.holdout)
