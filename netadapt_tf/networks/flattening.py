"""Nested models laid flat: one graph of layers, so that channels can be followed from one model into the other."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras
from absl import logging
from tf_keras.layers import Layer
from tf_keras.src.engine.functional import Functional
from tf_keras.src.saving.serialization_lib import SafeModeScope

from netadapt_tf.networks.own_objects import own_objects
from tflite_bench.errors import UserError

_CALLS = (Functional.call, tf_keras.Sequential.call)


def nested_models(network: tf_keras.Model) -> list[tf_keras.Model]:
    """The models among a functional model's layers whose graphs are known."""
    return [layer for layer in network.layers if is_graph(layer)]


def laid_flat(network: tf_keras.Model) -> tf_keras.Model:
    """A copy in which the layers of nested models stand among the network's own.

    A layer whose name is taken bears that of its model in front. What a model was called with (`training=False`, as is
    usual in transfer learning) its layers are called with. A layer that stands in several places stays one.

    Args:
        network: a functional model; it is left as it is.

    Returns:
        The network itself where no model is nested in it.

    Raises:
        UserError: weights that are shared in a way that is not seen layer by layer.
    """
    nested = nested_models(network)
    if not nested:
        return network
    logging.info("Nested models are laid flat: %s.", ", ".join(model.name for model in nested))
    inputs = [
        tf_keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
        for tensor, name in zip(network.inputs, network.input_names, strict=True)
    ]
    copies = _Copies(network)
    outputs = tf.nest.pack_sequence_as(network.output, copies.applied(network, inputs, {}))
    copies.take_weights()
    flat = tf_keras.Model(inputs[0] if len(inputs) == 1 else inputs, outputs, name=network.name)
    if flat.count_params() != network.count_params():
        raise UserError(
            f"{network.name} has nested models whose layers share weights with a wrapper's (TimeDistributed): build it "
            "without one of the two"
        )
    return flat


def is_graph(layer: Layer) -> bool:
    """Whether a layer is a model that computes what its graph of layers says, and nothing else."""
    return getattr(layer, "_is_graph_network", False) and type(layer).call in _CALLS


class _Copies:
    """Copies of all layers of a network and of the models nested in it, made when they are first called."""

    def __init__(self, network: tf_keras.Model) -> None:
        self._names = _unique_names(network)
        self._copies: dict[int, tuple[Layer, Layer]] = {}  # by id of the original, both

    def applied(self, model: tf_keras.Model, inputs: Sequence[Any], context: Mapping[str, Any]) -> list[Any]:
        """The outputs of a model's layers, their copies called one by one on other tensors.

        Args:
            model: nested models in it are opened.
            inputs: in place of the model's own.
            context: arguments of the model's call that its layers take, too.
        """
        reached = {id(own): tensor for own, tensor in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.is_input:
                    continue
                args, kwargs = tf.nest.map_structure(
                    lambda value: reached.get(id(value), value), (node.call_args, node.call_kwargs)
                )
                results = self._called(node.layer, args, kwargs, context)
                reached.update(zip(map(id, tf.nest.flatten(node.outputs)), results, strict=True))
        return [reached[id(tensor)] for tensor in model.outputs]

    def take_weights(self) -> None:
        """Gives the copies the weights of their originals."""
        for original, copy in self._copies.values():
            copy.set_weights(original.get_weights())

    def _called(
        self, layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any], context: Mapping[str, Any]
    ) -> list[Any]:
        if is_graph(layer):
            own = _training_of(layer, args, kwargs)
            inner = context if own is None else {"training": own}
            return self.applied(layer, layer._flatten_to_reference_inputs(args[0]), inner)
        copy = self._copy(layer)
        if copy._expects_training_arg and _training_of(layer, args, kwargs) is None:
            kwargs = {**kwargs, **context}
        return tf.nest.flatten(copy(*args, **kwargs))

    def _copy(self, layer: Layer) -> Layer:
        if id(layer) not in self._copies:
            own = tf_keras.saving.custom_object_scope(own_objects([layer]))
            with SafeModeScope(False), own:  # what a Lambda layer holds is in this process already
                copy = type(layer).from_config({**layer.get_config(), "name": self._names[id(layer)]})
            self._copies[id(layer)] = layer, copy
        return self._copies[id(layer)][1]


def _training_of(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a layer was called with as `training`; None where nothing was said."""
    if not layer._call_spec.arg_was_passed("training", args, kwargs, inputs_in_args=True):
        return None
    return layer._call_spec.get_arg_value("training", args, kwargs, inputs_in_args=True)


def _unique_names(network: tf_keras.Model) -> dict[int, str]:
    """Names for all layers, by id: the network's own layers keep theirs."""
    names: dict[int, str] = {}
    taken = {layer.name for layer in network.layers if not is_graph(layer)}
    for model, layer in _layers_within(network):
        if id(layer) in names:
            continue
        name = layer.name
        if model is not network:
            prefixed = f"{model.name}_{layer.name}"
            numbered = (f"{prefixed}_{number}" for number in itertools.count(1))
            name = next(free for free in itertools.chain((name, prefixed), numbered) if free not in taken)
            taken.add(name)
        names[id(layer)] = name
    return names


def _layers_within(model: tf_keras.Model) -> Iterator[tuple[tf_keras.Model, Layer]]:
    """All layers that are no nested models, each with the model that it stands in, outer ones first."""
    yield from ((model, layer) for layer in model.layers if not is_graph(layer))
    for nested in nested_models(model):
        yield from _layers_within(nested)
