"""The two ways to know what layers take: as one-layer models, or from operator profiles of whole networks."""

from collections.abc import Callable, Mapping, Sequence

from tflite_bench.errors import UserError
from tflite_bench.graph import Graph
from tflite_bench.joining import JOINED
from tflite_bench.latency_table import Context, LatencyTable
from tflite_bench.profile_filling import PROFILE_STATISTIC, PROFILED, fill_from_profiles
from tflite_bench.sizing import SizedOperator
from tflite_bench.table_filling import Caches, fill, statistic
from tflite_bench.target import Target
from tflite_bench.timing import Meter
from tflite_bench.tool_meter import ToolMeter


class LayerTimes:
    """Fills tables in the way that the target's option `layers` chooses: `models` (the default) or `profile`.

    Attributes:
        context: of the entries.
        joins: whether layers that a delegate may join are measured together; those given to `fill` must then be such.
    """

    def __init__(self, graph: Graph, target: Target, meter: Meter) -> None:
        """Chooses.

        Args:
            graph: the network whose layers are asked for.
            target: where `meter` measures.
            meter: the way to measure.

        Raises:
            UserError: operator profiles are asked for, and this meter cannot make them.
        """
        self._graph = graph
        self._meter = meter
        self._caches = Caches(graph.constant_bytes)
        self._profiler = meter if target.profiles_layers and isinstance(meter, ToolMeter) else None
        if target.profiles_layers and not (self._profiler and self._profiler.can_profile):
            raise UserError(f"target {target}: layers=profile needs TensorFlow Lite's benchmark_model on a CPU")
        how = PROFILE_STATISTIC if self._profiler else statistic(meter.procedure)
        self.joins = meter.procedure.delegated
        caches = _caches_text(graph, target) + (JOINED if self.joins else "")
        self.context = Context(target.kind, meter.fingerprint(), caches, how)

    @staticmethod
    def fits(context: Context, graph: Graph, target: Target) -> bool:
        """Whether entries of a context are such as this target and network would be given."""
        return context.target == target.kind and context.caches.removesuffix(JOINED) == _caches_text(graph, target)

    @staticmethod
    def joined(context: Context) -> bool:
        """Whether entries of a context are of layers joined as a delegate may."""
        return context.caches.endswith(JOINED)

    def fill(
        self,
        table: LatencyTable,
        layers: Mapping[str, SizedOperator],
        networks: Callable[[], Sequence[Sequence[SizedOperator]]],
    ) -> set[str]:
        """Measures layers and stores what they took; what a call costs by itself is the first that a table holds.

        Args:
            table: of `context`.
            layers: what is wanted, by signature.
            networks: gives networks that together hold all of them; asked only where whole networks are profiled.

        Returns:
            The signatures that could not be measured.

        Raises:
            UserError: nothing can be measured any more; finished batches stand.
        """
        if self._profiler is not None:
            return fill_from_profiles(table, self._profiler, self._graph, networks(), set(layers))
        return fill(table, self._meter, self._graph, layers, self._caches)


def _caches_text(graph: Graph, target: Target) -> str:
    return PROFILED if target.profiles_layers else str(Caches(graph.constant_bytes))
