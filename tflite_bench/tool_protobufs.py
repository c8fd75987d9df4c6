"""The protobuf messages that `benchmark_model` writes, as far as they are read here.

No package ships the class of `BenchmarkResult`. TensorFlow and LiteRT ship one of `BenchmarkProfilingData` each, under
one name: whoever has imported the one cannot import the other. So both are described here, in a pool of their own.

Sources: `tensorflow/lite/tools/benchmark/proto/benchmark_result.proto`,
`tensorflow/lite/profiling/proto/profiling_info.proto` (proto2 both).
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from tflite_bench.errors import MeasurementError

_PACKAGE = "netadapt_tf"
_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "bytes": _Field.TYPE_BYTES,  # strings too: proto2 does not see that they are UTF-8
}
_LATENCIES = ("avg_ms", "min_ms", "max_ms", "stddev_ms", "median_ms", "p5_ms", "p95_ms")
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "LatencyMetrics": {name: (number, "float") for number, name in enumerate(_LATENCIES, start=1)},
    "MiscMetrics": {"num_runs": (2, "int32")},
    "BenchmarkResult": {"latency_metrics": (2, "LatencyMetrics"), "misc_metrics": (4, "MiscMetrics")},
    "OpProfilingStat": {"sum": (8, "int64"), "count": (9, "int64")},
    "OpProfileData": {
        "node_type": (1, "bytes"),
        "inference_microseconds": (2, "OpProfilingStat"),
        "name": (5, "bytes"),
        "run_order": (6, "int64"),
    },
    "SubGraphProfilingData": {"per_op_profiles": (3, "OpProfileData*")},
    "ModelProfilingData": {"subgraph_profiles": (1, "SubGraphProfilingData*")},
    "BenchmarkProfilingData": {"runtime_profile": (3, "ModelProfilingData")},
}
"""Number and type of every field, by message; a star marks repeated ones."""


def parsed(name: str, data: bytes) -> Any:
    """A message of one of these types.

    Raises:
        MeasurementError: the data are no such message.
    """
    message = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise MeasurementError(f"what the tool wrote is no {name}: {error}") from error
    return message


def _described() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}/benchmark_model.proto", package=_PACKAGE)
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            plain = kind.rstrip("*")
            added = described.field.add(name=field, number=number, type=_TYPES.get(plain, _Field.TYPE_MESSAGE))
            added.label = _Field.LABEL_OPTIONAL if plain == kind else _Field.LABEL_REPEATED
            if plain not in _TYPES:
                added.type_name = f".{_PACKAGE}.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _described()
