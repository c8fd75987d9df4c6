"""Nested models laid flat: one graph of layers, so that channels can be followed from one model into the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras
from absl import logging


def nested_models(network: tf_keras.Model) -> list[tf_keras.Model]:
    """The models among a functional model's layers whose graphs are known."""
    return [layer for layer in network.layers if getattr(layer, "_is_graph_network", False)]


def laid_flat(network: tf_keras.Model) -> tf_keras.Model:
    """A copy in which the layers of nested models stand among the network's own.

    A layer whose name is taken bears that of its model in front. What a model was called with (`training=False`, as is
    usual in transfer learning) its layers are called with.

    Args:
        network: a functional model.

    Returns:
        The network itself where no model is nested in it.
    """
    nested = nested_models(network)
    if not nested:
        return network
    logging.info("Nested models are laid flat: %s.", ", ".join(model.name for model in nested))
    copy = tf_keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    _make_names_unique(copy, "", set())
    inputs = [
        tf_keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.node.layer.name) for tensor in copy.inputs
    ]
    outputs = tf.nest.pack_sequence_as(copy.output, _applied(copy, inputs, {}))
    return tf_keras.Model(inputs[0] if len(inputs) == 1 else inputs, outputs, name=network.name)


def _applied(model: tf_keras.Model, inputs: Sequence[Any], context: Mapping[str, Any]) -> list[Any]:
    """The outputs of a model's layers, called one by one on other tensors.

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
            results = _called(node.layer, args, kwargs, context)
            reached.update(zip(map(id, tf.nest.flatten(node.outputs)), results, strict=True))
    return [reached[id(tensor)] for tensor in model.outputs]


def _called(
    layer: tf_keras.layers.Layer, args: Sequence[Any], kwargs: Mapping[str, Any], context: Mapping[str, Any]
) -> list[Any]:
    if getattr(layer, "_is_graph_network", False):
        own = {name: kwargs[name] for name in ("training",) if kwargs.get(name) is not None}
        return _applied(layer, layer._flatten_to_reference_inputs(args[0]), {**context, **own})
    taken = {name: value for name, value in context.items() if layer._expects_training_arg}
    return tf.nest.flatten(layer(*args, **{**taken, **kwargs}))


def _make_names_unique(model: tf_keras.Model, prefix: str, taken: set[str]) -> None:
    for layer in model.layers:
        if getattr(layer, "_is_graph_network", False):
            continue
        if layer.name in taken:
            layer._name = f"{prefix}{layer.name}"
        taken.add(layer.name)
    for layer in model.layers:
        if getattr(layer, "_is_graph_network", False):
            _make_names_unique(layer, f"{layer.name}_", taken)
