"""Whether a stored network is data: every class, function and operator its configuration names, judged before loading.

Keras turns a configuration into objects by importing what it names and by calling what it finds, and
its `safe_mode` stops marshalled lambdas only. What is named here must therefore be known: the layers,
initializers and so on that Keras publishes, operators that do arithmetic, and what this process registered.
"""

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import tf_keras

from netadapt_tf.wording import one_line

_OUTSIDE = {"Lambda", "DenseFeatures", "StringLookup", "IntegerLookup", "TextVectorization"}
"""Layers that Keras publishes and that do more than arithmetic: they run programs or read files."""

_NAMESPACES = (
    tf_keras.layers,
    tf_keras.layers.experimental,
    tf_keras.initializers,
    tf_keras.regularizers,
    tf_keras.constraints,
    tf_keras.mixed_precision,
    tf_keras.losses,
    tf_keras.metrics,
    tf_keras.optimizers,
    tf_keras.optimizers.schedules,
)
_CLASSES = {
    *(name for namespace in _NAMESPACES for name, value in vars(namespace).items() if inspect.isclass(value)),
    *("Model", "Functional", "Sequential"),
    *("AddLoss", "AddMetric"),  # what add_loss and add_metric make of a functional model
    *("BatchNormalizationV1", "BatchNormalizationV2"),  # as TensorFlow 1.13 called them
} - _OUTSIDE
_FUNCTIONS = {
    name
    for namespace in (tf_keras.activations, tf_keras.losses, tf_keras.metrics)
    for name, value in vars(namespace).items()
    if inspect.isfunction(value)
} - {"get", "serialize", "deserialize"}
_DATA = {"__tensor__", "__numpy__", "__bytes__", "__tuple__", "__ellipsis__", "TensorShape"}

_OPERATOR_LAYERS = ("TFOpLambda", "SlicingOpLambda")
_ARITHMETIC = re.compile(r"(math|nn|linalg|__operators__)\.\w+|quantization\.fake_quant\w+")
_ARITHMETIC_BY_NAME = {
    *("add_n", "argsort", "boolean_mask", "broadcast_to", "cast", "clip_by_norm", "clip_by_value", "concat", "cumsum"),
    *("einsum", "expand_dims", "eye", "fill", "gather", "gather_nd", "grad_pass_through", "identity", "one_hot"),
    *("ones", "ones_like", "pad", "range", "rank", "repeat", "reshape", "reverse", "roll", "shape", "size", "slice"),
    *("sort", "space_to_batch", "batch_to_space", "split", "squeeze", "stack", "stop_gradient", "strided_slice"),
    *("tensordot", "tile", "transpose", "unstack", "where", "zeros", "zeros_like"),
    *("image.central_crop", "image.crop_to_bounding_box", "image.extract_patches", "image.flip_left_right"),
    *("image.flip_up_down", "image.per_image_standardization", "image.resize", "image.resize_with_pad"),
    *("image.rgb_to_grayscale", "keras.backend.batch_flatten", "keras.backend.bias_add"),
}

_KERAS_MODULE = re.compile(r"(tf_)?keras(\.\w+)*")
_TENSORFLOW_INITIALIZERS = "tensorflow.python.ops.init_ops_v2"  # what Keras writes for tf.initializers.*


def find_program(config: Any, registered: Collection[str]) -> str | None:
    """The first thing in a configuration that is, or may be, a program.

    Args:
        config: a network's configuration as JSON values, as Keras stores it.
        registered: names this process registered with Keras as serializable; what they stand for is trusted.

    Returns:
        What it is and where, fit to follow "holds", or None: then all that is named is known to be arithmetic.
    """
    findings = (_judge(description, one_line(layer), registered) for description, layer in described(config))
    return next((finding for finding in findings if finding is not None), None)


def described(config: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """All that a configuration describes, in order, each with the name of the layer that it belongs to."""
    waiting = [(config, "the network")]  # not recursive: files may nest deeper than Python does
    while waiting:
        value, layer = waiting.pop()
        children: list[Any] = list(value) if isinstance(value, list | tuple) else []
        if isinstance(value, dict):
            if "class_name" in value:
                own = value.get("config")
                layer = own["name"] if isinstance(own, dict) and isinstance(own.get("name"), str) else layer
                yield value, layer
            children = list(value.values())
        waiting += [(child, layer) for child in reversed(children)]


def _judge(description: Mapping[str, Any], layer: str, registered: Collection[str]) -> str | None:
    """What program one description may stand for, if any."""
    kind, module, alias = description["class_name"], description.get("module"), description.get("registered_name")
    config = description.get("config")
    if kind == "Lambda":
        return f"a Lambda layer ({layer}), which is a program"
    if kind == "__lambda__":
        return f"a Python function (in {layer}), which is a program"
    if kind in _OPERATOR_LAYERS and _is_keras(module) and alias in (None, kind):
        return _judge_operator(config, layer)
    name = config if kind == "function" else kind
    if isinstance(name, str):
        if kind == "function":
            known = name in _FUNCTIONS and _is_keras(module, "builtins") and alias in (None, "function", name)
        elif name in _CLASSES:
            known = _is_keras(module, _TENSORFLOW_INITIALIZERS) and alias in (None, name)
        else:
            known = name in _DATA
        if known or _is_registered(name, alias, registered):
            return None
    whence = "" if module is None else f" of module {one_line(module)}"
    registration = "" if alias in (None, name) else f" registered as {one_line(alias)}"
    return f"{one_line(name)}{whence}{registration} (in {layer}), which is not known to be Keras' own arithmetic"


def _judge_operator(config: Any, layer: str) -> str | None:
    symbol = config.get("function") if isinstance(config, dict) else None
    plain = symbol.removeprefix("compat.v1.") if isinstance(symbol, str) else ""
    if plain in _ARITHMETIC_BY_NAME or _ARITHMETIC.fullmatch(plain):
        return None
    return f"an operator layer ({layer}) that calls {one_line(symbol)}, which is not known to be arithmetic"


def _is_keras(module: Any, *others: str) -> bool:
    """Whether a module is Keras'; where none is given, Keras looks among its own only."""
    return module is None or module in others or bool(isinstance(module, str) and _KERAS_MODULE.fullmatch(module))


def _is_registered(name: str, alias: Any, registered: Collection[str]) -> bool:
    """Whether Keras takes a name from this process' registry, whichever of its two readers it uses."""
    if alias is None:
        return ">" in name and name in registered
    return isinstance(alias, str) and alias in registered and alias.rpartition(">")[2] == name
