"""What lets channels act on each other in training alone, so that removed ones would go on acting on those that stay.

Training with masks must change what stays as training the narrower network does. Nobody reads a removed channel, but it
is still computed. A penalty on what a layer computes would count it; one on each weight alone (L1, L2) changes nothing
but the weight; a constraint that rescales weights by their norm may run over channels. The kernel rows that would read
removed channels are zero all the time, so that no norm sees them.
"""

import functools
from collections.abc import Callable

from tf_keras import Model, constraints, regularizers
from tf_keras.layers import Layer

from netadapt_tf.networks.channel_groups import Role

_ALONE = (constraints.NonNeg, constraints.RadialConstraint)
_BY_NORM = (constraints.MaxNorm, constraints.MinMaxNorm, constraints.UnitNorm)
_SUMS = (regularizers.L1, regularizers.L1L2, regularizers.L2)


def tying_regularizer(layer: Layer) -> str | None:
    """The name of a regulariser of a layer's weights that may be no sum over them, or None."""
    found = vars(layer).items()
    names = [name for name, value in found if name.endswith("_regularizer") and value is not None]
    return next((name for name in names if name[0] != "_" and type(getattr(layer, name)) not in _SUMS), None)


def own_loss(network: Model) -> str | None:
    """The name of the layer at which a network adds a loss to itself, regularisers aside, or None."""
    return next((layer.name for layer in network._flatten_layers() if _adds_loss(layer)), None)


def _adds_loss(layer: Layer) -> bool:
    return type(layer).__name__ == "AddLoss" or not all(map(_is_of_a_regularizer, layer._callable_losses))


def _is_of_a_regularizer(loss: Callable) -> bool:
    """Keras keeps every callable loss as an argument of a function of its own."""
    (inner,) = loss.args if isinstance(loss, functools.partial) else (loss,)
    return isinstance(inner, functools.partial) and inner.func.__name__ == "_loss_for_variable"


def may_tie(constraint: constraints.Constraint | None, axis: int, role: Role, rank: int) -> bool:
    """Whether a constraint may let the channels along an axis of a weight depend on each other.

    Args:
        constraint: of the weight.
        axis: that the channels lie along.
        role: of the layer towards them; what is read is zero where channels are removed.
        rank: of the weight.
    """
    if constraint is None or type(constraint) in _ALONE:
        return False
    if type(constraint) not in _BY_NORM:
        return True
    axes = constraint.axis if isinstance(constraint.axis, list | tuple) else [constraint.axis]
    return role is not Role.READS and (constraint.axis is None or axis in {at % rank for at in axes})
