"""The mid-term fine-tune: an iteration's picked network recovers before the next iteration cuts it again.

Not in the paper, whose short-term fine-tunes are long enough for that. Here only one of an iteration's proposals is
trained for long, which costs little, and the next ones are compared where accuracy tells them apart.
"""

import tf_keras

from netadapt_tf.search.proposals import proposal_seed
from netadapt_tf.search.run_directory import RunDirectory
from netadapt_tf.training.checkpoint import Checkpoint
from netadapt_tf.training.stages import MID_TERM, evaluate, train
from netadapt_tf.work import Work


def checkpoint_of(run: RunDirectory) -> Checkpoint:
    """Where the mid-term fine-tune that is under way keeps its finished epochs; discarding it is the caller's."""
    return run.checkpoint("mid-term")


def mid_term(work: Work, iteration: int, network: tf_keras.Model) -> float:
    """Trains in place, and goes on with what an interrupted call finished.

    Args:
        work: what all stages share.
        iteration: whose proposal was picked.
        network: the picked proposal's, narrowed.

    Returns:
        The metric on the hold-out set.

    Raises:
        UserError: the training diverges.
    """
    problem, settings = work.problem, work.problem.settings
    with work.clock("mid_term"):
        train(
            network,
            problem.task,
            problem.datasets.train,
            proposal_seed(settings.seed, iteration, MID_TERM),
            settings.mid_term_epochs,
            settings.mid_term_learning_rate,
            MID_TERM,
            checkpoint_of(work.run),
            work.strategy,
        )
    with work.clock("evaluate"):
        return evaluate(network, problem.task, problem.datasets.holdout)
