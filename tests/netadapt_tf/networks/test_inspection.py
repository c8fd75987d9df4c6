import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

from netadapt_tf.networks.inspection import find_program


def stored(network: tf_keras.Model) -> dict:
    return tf_keras.saving.serialize_keras_object(network)


def described(class_name, config=None, **keys):
    """Something, deep inside a layer."""
    inner = {"class_name": class_name, "config": config or {}, **keys}
    layer = {"class_name": "Conv2D", "module": "keras.layers", "config": {"name": "conv", "x": [{"y": inner}]}}
    return {"class_name": "Functional", "config": {"name": "outer", "layers": [layer]}}


def network_with_operators() -> tf_keras.Model:
    images = layers.Input((8, 8, 3))
    x = (images * 2.0 - 1.0) / 127.5 + images**2
    x = tf.image.resize(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), (6, 6))
    x = tf.nn.relu6(tf.concat([x[:, ::2, ::2, :2], tf.transpose(x, [0, 2, 1, 3])[:, :3, :3]], -1))
    x = tf_keras.activations.swish(tf_keras.backend.mean(x, axis=-1, keepdims=True))
    x = tf_keras.backend.bias_add(tf.repeat(x, 3, -1), tf.constant([1.0, 2.0, 3.0]))
    x = tf.reshape(tf.clip_by_value(x, 0.0, 1.0), [-1, 27])
    return tf_keras.Model(images, tf.squeeze(tf.stack([x, tf.reduce_mean(x, -1, keepdims=True) + x], 1)[:, :1], 1))


def network_with_much_of_keras() -> tf_keras.Model:
    nested = tf_keras.Sequential([layers.Conv2D(4, 1, input_shape=(8, 8, 4)), layers.BatchNormalization()])
    nested.compile(tf_keras.optimizers.SGD(tf_keras.optimizers.schedules.CosineDecay(0.1, 10)), tf_keras.losses.Hinge())
    images = layers.Input((8, 8, 3))
    x = layers.Conv2D(
        4,
        3,
        padding="same",
        activation=tf.nn.relu,
        kernel_regularizer=tf_keras.regularizers.L2(0.1),
        kernel_constraint=tf_keras.constraints.MaxNorm(2),
        bias_initializer=tf.constant_initializer(0.5),
        dtype=tf_keras.mixed_precision.Policy("mixed_float16"),
    )(layers.Rescaling(1 / 255)(images))
    x = layers.Add()([x, nested(x)])
    x = layers.TimeDistributed(layers.Activation(tf.nn.gelu))(x)
    x = layers.SeparableConv2D(8, 3)(layers.Normalization(mean=[0.0] * 4, variance=[1.0] * 4)(x))
    return tf_keras.Model(images, layers.Dense(2, "softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize(
    "network",
    [
        network_with_operators,
        network_with_much_of_keras,
        *(
            pytest.param(lambda name=name: getattr(tf_keras.applications, name)(weights=None), marks=pytest.mark.slow)
            for name in ("EfficientNetV2B0", "MobileNetV3Small")
        ),
    ],
)
def test_ordinary_networks_hold_no_program(network):
    config = stored(network())
    registered = tf_keras.saving.get_custom_objects()
    assert find_program(config, registered) is None
    assert find_program(_without_modules(config), registered) is None


def _without_modules(value):
    """As `.h5` files are, and files of older versions."""
    if isinstance(value, dict):
        return {key: _without_modules(item) for key, item in value.items() if key not in ("module", "registered_name")}
    return [_without_modules(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (described("Lambda", {"name": "double"}, module="keras.layers"), "a Lambda layer (double), which is a program"),
        (described("Lambda", {"name": "double"}), "a Lambda layer (double), which is a program"),
        (described("__lambda__", {"value": "4wEA"}), "a Python function (in conv)"),
        (described("function", "system", module="os"), "system of module os (in conv)"),
        (described("function", "eval", module="builtins"), "eval of module builtins"),
        (described("function", "os.system", module="keras.src.utils.data_utils"), "os.system of module keras"),
        (described("function", "relu", module="os"), "relu of module os"),
        (described("function", "get", module="keras.activations"), "get of module keras.activations"),
        (described("function", ["relu"], module="keras.activations"), "['relu'] of module"),
        (described("Dense", module="my_package"), "Dense of module my_package"),
        (described("Dense", module="keras_evil"), "Dense of module keras_evil"),
        (described("Dense", module=["keras"]), "Dense of module ['keras']"),
        (described("Dense", module="keras.layers", registered_name="TFOpLambda"), "registered as TFOpLambda"),
        (described("ReLU", module="keras.layers", registered_name="Mine>ReLU"), "registered as Mine>ReLU"),
        (described("MyLayer", {"name": "mine"}), "MyLayer (in mine)"),
        (described("__typespec__", [], module="os"), "__typespec__ of module os"),
        (described("TypeSpec", type_spec="x"), "TypeSpec"),
        (described("ResidualWrapper", module="keras.layers"), "ResidualWrapper"),
        (described("TensorFlowOpLayer"), "TensorFlowOpLayer"),
        (described("ClassMethod"), "ClassMethod"),
        (described("InstanceMethod"), "InstanceMethod"),
        (described("StringLookup", {"vocabulary": "/etc/passwd"}, module="keras.layers"), "StringLookup"),
        (described("TFOpLambda", {"name": "op", "function": "io.write_file"}), "(op) that calls io.write_file"),
        (described("SlicingOpLambda", {"name": "op", "function": "io.write_file"}), "(op) that calls io.write_file"),
        (described("TFOpLambda", {"function": "compat.v1.gfile.Remove"}), "compat.v1.gfile.Remove"),
        (described("TFOpLambda", {"function": "keras.models.load_model"}), "keras.models.load_model"),
        (described("TFOpLambda", {"function": "raw_ops.WriteFile"}), "raw_ops.WriteFile"),
        (described("TFOpLambda", {"function": "math.x.y"}), "math.x.y"),
        (described("TFOpLambda", {"function": None}), "calls None"),
        (described("TFOpLambda", {"function": "nn.relu"}, module="my_package"), "TFOpLambda of module my_package"),
        (described(7), "7 (in conv)"),
        (described({"a": 1}), "(in conv)"),
    ],
)
def test_what_may_be_a_program_is_named(config, said):
    assert said in str(find_program(config, ()))
    assert said in str(find_program({"class_name": "Sequential", "config": [config]}, ()))


def test_what_this_process_registered_is_trusted_by_its_full_name_only():
    new = described("Mine", module="__main__", registered_name="Package>Mine")
    old = described("Package>Mine")
    for config in (new, old):
        assert find_program(config, ()) is not None
        assert find_program(config, {"Package>Mine"}) is None
    # Keras' reader of `.h5` does not look at registered names
    disguised = described("TensorFlowOpLayer", registered_name="Package>Mine")
    assert find_program(disguised, {"Package>Mine"}) is not None
    assert find_program(described("Lambda", registered_name="Package>Lambda"), {"Package>Lambda"}) is not None


def test_depth_is_no_obstacle():
    config: dict = {"class_name": "Lambda", "config": {"name": "deep"}}
    for _ in range(20_000):
        config = {"config": [config]}
    assert "(deep)" in str(find_program(config, ()))


def test_data_are_no_programs():
    values = {"__numpy__": {"value": [1], "dtype": "float32"}, "__bytes__": {"value": "x"}, "__tuple__": {}}
    for class_name, config in values.items():
        assert find_program(described(class_name, config), ()) is None
    assert find_program([None, 1.5, "Lambda", {"name": "Lambda"}], ()) is None
