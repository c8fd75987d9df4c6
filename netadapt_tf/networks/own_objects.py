"""The user's own classes and functions in a network: what Keras has to know by name to build copies of it.

Besides layers these are initializers, regularizers, constraints and activations. Keras finds what a process registered
itself; workers of a search have registered nothing, and what was never registered is found nowhere.
"""

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import tf_keras
from tf_keras.layers import Layer

from netadapt_tf.networks.inspection import described
from netadapt_tf.wording import keras_words
from tflite_bench.errors import UserError

_OF_OTHERS = ("tf_keras", "keras", "tensorflow")
_FIRST_LOOKED_FOR_IN_KERAS = {
    name
    for module in (tf_keras.activations, tf_keras.initializers, tf_keras.regularizers, tf_keras.constraints)
    for name in vars(module)
}
"""Names for which Keras takes its own unless a scope says otherwise, wherever a network is loaded."""


def own_objects(layers: Iterable[Layer]) -> dict[str, Any]:
    """The user's own classes and functions that configurations of layers name.

    Args:
        layers: of a network.

    Returns:
        By each name that a configuration may have for them, for `tf_keras.saving.custom_object_scope`.

    Raises:
        UserError: a name stands for two things, of which copies would get the wrong one; or a layer has no
            configuration.
    """
    given = list(layers)
    of_keras = {type(layer).__name__: type(layer) for layer in given if not _is_own(type(layer))}
    found: dict[str, Any] = {}
    for layer in given:
        for name, own in _named(layer).items():
            other = found.setdefault(name, own) if name not in of_keras else of_keras[name]
            if other is not own:
                raise UserError(
                    f"the network holds two things called {name}, of {other.__module__} and of {own.__module__} "
                    f"(in {layer.name}), which its copies cannot tell apart; rename one of them"
                )
    return found


def check_copyable(layers: Iterable[Layer]) -> None:
    """Sees that layers can be built anew from their configurations, as narrower copies of a network are.

    Raises:
        UserError: one cannot.
    """
    for layer in layers:
        config = _config(layer)
        if config.get("name") != layer.name:
            raise _not_copied(layer, "its name is not in it")
        try:
            type(layer).from_config(config)
        except Exception as error:  # the user's own classes raise whatever they like
            raise _not_copied(layer, keras_words(error)) from error


def _config(layer: Layer) -> dict[str, Any]:
    try:
        return layer.get_config()
    except Exception as error:
        raise _not_copied(layer, keras_words(error)) from error


def _not_copied(layer: Layer, reason: str) -> UserError:
    return UserError(
        f"the layer {layer.name} cannot be built anew from its configuration, as copies of the network are ({reason}); "
        "functions in it need a name, and classes a get_config() that says all that their constructors take"
    )


def _named(layer: Layer) -> dict[str, Any]:
    """What of the user's own one layer's configuration names."""
    names = set(_names({"class_name": type(layer).__name__, **_registered(type(layer)), "config": _config(layer)}))
    held = {id(own): own for own in _held(layer)}
    found: dict[str, Any] = {}
    for own in held.values():
        registered = tf_keras.saving.get_registered_name(own)
        if names.isdisjoint((registered, own.__name__)):
            continue
        if own.__name__ not in _FIRST_LOOKED_FOR_IN_KERAS:
            found[own.__name__] = own
        elif registered == own.__name__ or not isinstance(own, type):
            raise UserError(
                f"{own.__name__} of {own.__module__} (in {layer.name}) is called as something of Keras' own, which the "
                "network's copies would have in its place; rename it"
            )
        found[registered] = own
    for name in names - found.keys():  # a scope may have it by another name than its own
        if (own := tf_keras.saving.get_registered_object(name)) is not None:
            found[name] = own
    return found


def _registered(kind: type) -> Mapping[str, str]:
    return {"registered_name": tf_keras.saving.get_registered_name(kind)}


def _names(config: Mapping[str, Any]) -> Iterator[str]:
    """All names of classes and functions in a configuration; Keras writes its own activations as bare names."""
    for description, _ in described(config):
        names = [description["class_name"], description.get("registered_name"), description.get("config")]
        if isinstance(description.get("config"), dict):
            names += [value for key, value in description["config"].items() if key.endswith("activation")]
        yield from (name for name in names if isinstance(name, str))


def _held(layer: Layer) -> Iterator[Any]:
    """The classes and functions of the user's own that a layer and what it holds are of, at any depth."""
    waiting: list[Any] = [layer]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list | tuple | set):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, types.FunctionType):
            if _is_own(value):
                yield value
        elif hasattr(type(value), "get_config"):
            if _is_own(type(value)):
                yield type(value)
            if _is_own(type(value)) or isinstance(value, Layer):
                waiting += getattr(value, "__dict__", {}).values()


def _is_own(kind: Any) -> bool:
    return (kind.__module__ or "").partition(".")[0] not in _OF_OTHERS
