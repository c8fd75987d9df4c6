"""One traced training step and one traced evaluation of a network, shared by everything trained on it.

Pre-training and all fine-tunes are the same step (SGD with Nesterov momentum) with other
learning rates. A channel is removed by a mask: its rows in the kernels of the layers that read it are
held at zero, set again inside the step after every update. Nobody reads it then, so the network
computes what the narrower one would, without building and tracing that (2 to 3 s each).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from netadapt_tf.networks.channel_groups import Axis, Channels, Kept, Role, indices_of
from netadapt_tf.training.replicas import of_a_part, own_part
from netadapt_tf.training.task import Task
from netadapt_tf.training.teacher import Teacher

MOMENTUM = 0.9
_FOLLOWED_SHARE = 0.1
_FOLLOWED_STEPS = 10.0

LearningRates = Callable[[int], float]
"""The learning rate of a step, counted from 0."""


@dataclass(frozen=True)
class TrainingState:
    """Where a training stands: all that its next step depends on besides the masks and the batches.

    Attributes:
        weights: of the network.
        momentums: of the optimizer, one for each trainable weight.
        draws: states of the generators of dropout and other random layers.
    """

    weights: Sequence[np.ndarray]
    momentums: Sequence[np.ndarray]
    draws: Sequence[np.ndarray]

    def is_finite(self) -> bool:
        """Whether all weights are numbers."""
        return all(bool(np.isfinite(array).all()) for array in self.weights)


class Evaluation(NamedTuple):
    """What one pass over a data set found.

    Attributes:
        metric: the task's.
        loss: the task's, mean over the examples.
    """

    metric: float
    loss: float


def traced(function: Callable[..., Any], signature: Sequence[Any]) -> Callable[..., Any]:
    """A `tf.function` of a network that is one of many: few batches for each trace are meant, and not warned of."""
    compiled = tf.function(function, input_signature=signature)
    compiled._omit_frequent_tracing_warning = True
    return compiled


class Trainer:
    """Trains a network in place, and evaluates it."""

    def __init__(
        self,
        network: tf_keras.Model,
        task: Task,
        spec: tuple[Any, ...],
        channels: Channels | None = None,
        stage_steps: int | None = None,
        strategy: tf.distribute.Strategy | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """Prepares the step; it is traced when first used.

        Args:
            network: float32 [B, H, W, C] -> outputs [B, ...].
            task: the loss and the metric.
            spec: of its batches, see `datasets.batch_spec`.
            channels: of the network; without them nothing can be masked.
            stage_steps: how many steps one `fit` has; see `followed_momentum`. Without it every batch norm keeps its
                momentum.
            strategy: each of its replicas trains on a part of every batch. The network, without channels, and the
                trainer are made in its scope. By default there is one replica.
            teacher: made in that scope, too; the task has an imitation then.

        Raises:
            ValueError: it has none.
        """
        if teacher is not None and task.imitation is None:
            raise ValueError("a teacher needs a task with an imitation")
        self.network = network
        self._strategy = strategy or tf.distribute.get_strategy()
        self._max_momentum = 1.0 if stage_steps is None else followed_momentum(stage_steps)
        self._masks = _masks(network, channels) if channels else ()
        self._loss = of_a_part(task.loss) if strategy else task.loss
        self._imitation = task.imitation
        self._teacher = teacher
        self._metric = task.metric.make()
        self._whole_loss = task.loss
        self._evaluated_loss = tf_keras.metrics.Mean()
        # Of Keras' two SGDs the one whose update of a variable is one operator: tracing takes half as long.
        self._optimizer = tf_keras.optimizers.legacy.SGD(momentum=MOMENTUM, nesterov=True)
        self._optimizer._create_all_weights(network.trainable_variables)
        rate = tf.TensorSpec([], tf.float32)
        self._step = traced(self._training_step, [*spec, rate])
        self._judge = traced(self._evaluation_step, spec)

    def set_masks(self, kept: Kept) -> None:
        """Removes channels from the network's working; the channels of groups not named all count again.

        Args:
            kept: by channel group, the filters that stay.
        """
        for mask in self._masks:
            mask.set(kept)
        self._hold_masked()

    def restart(self, weights: Sequence[np.ndarray], kept: Kept, seed: int) -> None:
        """Sets weights, masks and seed, and forgets the momentum: a fine-tune then owes nothing to the last.

        Args:
            weights: of the network.
            kept: see `set_masks`.
            seed: of dropout and other random layers.
        """
        self.network.set_weights(weights)
        reseed(self.network, seed)
        for momentum in self._momentums:
            momentum.assign(tf.zeros_like(momentum))
        self.set_masks(kept)

    def state(self) -> TrainingState:
        """Where the training stands now, for `resume` here or in another process."""
        return TrainingState(
            weights=self.network.get_weights(),
            momentums=[momentum.numpy() for momentum in self._momentums],
            draws=[generator.state.numpy() for generator in _generators(self.network)],
        )

    def resume(self, state: TrainingState, kept: Kept = MappingProxyType({})) -> None:
        """Goes back to where a training of the same network stood; see `set_masks`."""
        self.network.set_weights(state.weights)
        for momentum, value in zip(self._momentums, state.momentums, strict=True):
            momentum.assign(value)
        for generator, draw in zip(_generators(self.network), state.draws, strict=True):
            generator.reset(draw)
        self.set_masks(kept)

    def fit(
        self,
        batches: Iterable,
        steps: int,
        learning_rates: LearningRates,
        begin: int = 0,
        update: Callable[[], object] | None = None,
    ) -> float:
        """Trains for a number of steps.

        Args:
            batches: endless, of (float32 [B, H, W, C], targets [B, ...]).
            steps: how many.
            learning_rates: by step.
            begin: the number of the first step.
            update: is called after every step.

        Returns:
            The loss of the last step.
        """
        loss = tf.constant(float("nan"))
        for step, (images, targets) in zip(range(begin, begin + steps), batches):  # noqa: B905 - batches are endless
            loss = self._step(images, targets, tf.constant(learning_rates(step), tf.float32))
            if update:
                update()
        return float(loss)

    def evaluate(self, batches: Iterable) -> Evaluation:
        """The metric and the loss over one pass of (float32 [B, H, W, C], targets [B, ...])."""
        self._metric.reset_state()
        self._evaluated_loss.reset_state()
        for images, targets in batches:
            self._judge(images, targets)
        return Evaluation(float(self._metric.result()), float(self._evaluated_loss.result()))

    @property
    def _momentums(self) -> Sequence[tf.Variable]:
        return [self._optimizer.get_slot(variable, "momentum") for variable in self.network.trainable_variables]

    def _training_step(self, images: tf.Tensor, targets: Any, learning_rate: tf.Tensor) -> tf.Tensor:
        self._optimizer.learning_rate.assign(learning_rate)
        with _batch_norm_momentum(self.network, self._max_momentum):
            losses = self._strategy.run(self._replica_step, (images, targets))
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    def _replica_step(self, images: tf.Tensor, targets: Any) -> tf.Tensor:
        images, targets, share = own_part(images, targets)
        answers = self._teacher.network(images, training=False) if self._teacher else None
        with tf.GradientTape() as tape:
            loss = self._mean_loss(targets, answers, self.network(images, training=True))
            loss += tf.add_n(self.network.losses) if self.network.losses else 0.0
            loss *= share
        variables = self.network.trainable_variables
        gradients = self._masked(variables, tape.gradient(loss, variables))
        # Adding gradients up over replicas registers a gradient for ever, and with it the whole graph of this step.
        self._optimizer.apply_gradients(
            zip(gradients, variables, strict=True), experimental_aggregate_gradients=tf.distribute.has_strategy()
        )
        self._hold_masked()
        return loss

    def _mean_loss(self, targets: Any, answers: Any, outputs: Any) -> tf.Tensor:
        loss = tf.cast(tf.reduce_mean(self._loss(targets, outputs)), tf.float32)
        if self._teacher is None or self._imitation is None:
            return loss
        share = self._teacher.share
        return (1 - share) * loss + share * tf.reduce_mean(self._imitation(answers, outputs))

    def _evaluation_step(self, images: tf.Tensor, targets: Any) -> None:
        outputs = self.network(images, training=False)
        self._metric.update_state(targets, outputs)
        self._evaluated_loss.update_state(tf.reduce_mean(self._whole_loss(targets, outputs)), tf.shape(images)[0])

    def _masked(self, variables: Sequence[tf.Variable], gradients: Sequence[tf.Tensor | None]) -> list:
        """The gradients, zero for masked rows of constrained kernels: the optimizer applies constraints (max norm)."""
        by_variable = {variable.ref(): gradient for variable, gradient in zip(variables, gradients, strict=True)}
        for mask in self._masks:
            reference = mask.kernel.ref()
            if mask.kernel.constraint is not None and by_variable.get(reference) is not None:
                by_variable[reference] *= mask.values
        return list(by_variable.values())

    def _hold_masked(self) -> None:
        for mask in self._masks:
            mask.hold()


def followed_momentum(stage_steps: int) -> float:
    """The momentum that batch norm's moving statistics may have at most in a stage of so many steps.

    Keras lets them follow over hundreds of steps, MobileNetV2's over a thousand. A short stage would be judged by
    statistics of the network before it: before channels were removed, or before it was trained at all. They follow
    over the last tenth of the steps here, over ten where that is less, and over half of them where that is less still.

    Args:
        stage_steps: from the first step to where the network is judged.
    """
    followed = max(_FOLLOWED_SHARE * stage_steps, min(stage_steps / 2, _FOLLOWED_STEPS))
    return max(0.0, 1 - 1 / followed) if followed else 0.0


def reseed(network: tf_keras.Model, seed: int) -> None:
    """Sets the seed of dropout and other random layers, which else depends on all layers that Keras made before."""
    for generator in _generators(network):
        generator.reset_from_seed(seed)


def _generators(network: tf_keras.Model) -> Iterator[tf.random.Generator]:
    """What random layers draw from."""
    for layer in network._flatten_layers():
        generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
        if generator is not None:
            yield generator


@dataclass(frozen=True)
class _Mask:
    """One for the channels that a kernel reads, zero for those that it shall not.

    Attributes:
        kernel: of the layer that reads them.
        axis: along which it reads, and whose channels these are.
        values: float32, of length one along every other axis.
    """

    kernel: tf.Variable
    axis: tuple[int, Axis]
    values: tf.Variable

    def set(self, kept: Kept) -> None:
        number, axis = self.axis
        values = np.zeros(self.values.shape, np.float32)
        np.moveaxis(values, number, 0)[indices_of(axis.layout, kept)] = 1.0
        self.values.assign(values)

    def hold(self) -> None:
        self.kernel.assign(self.kernel * self.values)


def _masks(network: tf_keras.Model, channels: Channels) -> tuple[_Mask, ...]:
    """One for every kernel that reads channels of a group that can shrink."""
    shrinkable = channels.widths.keys()
    masks = []
    for layer in network.layers:
        for kernel, weight in zip(layer.weights, channels.weights.get(layer.name, ()), strict=True):
            for number, axis in weight.axes.items():
                if axis.role is Role.READS and any(span.group in shrinkable for span in axis.layout):
                    shape = [size if at == number else 1 for at, size in enumerate(weight.shape)]
                    masks.append(_Mask(kernel, (number, axis), tf.Variable(tf.ones(shape), trainable=False)))
    return tuple(masks)


@contextmanager
def _batch_norm_momentum(network: tf_keras.Model, at_most: float) -> Iterator[None]:
    """While the step is traced, batch norms have this momentum at most; the network's own configuration stays."""
    layers = network._flatten_layers()  # those inside of wrappers, too
    own = {layer: layer.momentum for layer in layers if isinstance(layer, tf_keras.layers.BatchNormalization)}
    for layer, momentum in own.items():
        layer.momentum = min(momentum, at_most)
    try:
        yield
    finally:
        for layer, momentum in own.items():
            layer.momentum = momentum


def constant(learning_rate: float) -> LearningRates:
    """The same learning rate at every step."""
    return lambda step: learning_rate


def cosine(learning_rate: float, steps: int) -> LearningRates:
    """From `learning_rate` down to 0 along half a cosine (Loshchilov & Hutter, 2017)."""
    return lambda step: learning_rate * 0.5 * (1 + float(np.cos(np.pi * step / steps)))
