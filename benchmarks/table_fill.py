r"""What a latency table costs: making one-layer models, measuring them, and how many a search asks for.

Example, which docs/performance.md tells of, in about half an hour:

  python -m benchmarks.table_fill

A quick look, in about two minutes:

  python -m benchmarks.table_fill --models=10 --shapes=3 --search_alpha=0.25 --search_resolution=64

Prints three things. First, one-layer models of MobileNetV1 0.25 at 64 px made by editing the flatbuffer, and the same
layers built in Keras and converted, one after the other. Second, an empty table filled with the layers of that
network at random widths: what an entry costs besides loading interpreters and timing them. Third, a search for a
latency budget on an empty table that picks its proposals at random, since nothing is trained: how many entries it asks
for.
"""

from collections.abc import Sequence

from absl import flags

from tflite_bench.binary import quiet_native_code, run

_MODELS = flags.DEFINE_integer("models", 40, "One-layer models made in both ways.", lower_bound=1)
_SHAPES = flags.DEFINE_integer("shapes", 10, "Networks of random widths whose layers are measured.", lower_bound=1)
_SEARCH_ALPHA = flags.DEFINE_float("search_alpha", 1.0, "Width multiplier of the network searched.", 0.125, 4.0)
_SEARCH_RESOLUTION = flags.DEFINE_integer("search_resolution", 224, "Its input, in pixels.", 32, 4096)
_PERCENT = flags.DEFINE_integer("percent", 60, "The budget of the search, of the network's latency.", 1, 100)
_SEED = flags.DEFINE_integer("seed", 0, "Of everything random.", lower_bound=0)


def main(_: Sequence[str]) -> None:
    """Reads the flags, measures, prints."""
    with quiet_native_code():
        from benchmarks.filling_cost import asked_for, filled_at_random
        from benchmarks.one_layer_models import making_times, summary
        from netadapt_tf.networks.by_name import NETWORKS
        from netadapt_tf.networks.random_weights import randomise

    named = NETWORKS["mobilenet_v1"]
    small, searched = (
        named.build(named.widths(alpha), resolution, 1000)
        for alpha, resolution in ((0.25, 64), (_SEARCH_ALPHA.value, _SEARCH_RESOLUTION.value))
    )
    for network in (small, searched):
        randomise(network)
    print(summary(making_times(small, _MODELS.value, _SEED.value)), flush=True)
    print(filled_at_random(small, _SHAPES.value, _SEED.value), flush=True)
    asked = asked_for(searched, _PERCENT.value, _SEED.value)
    name = f"MobileNetV1 {_SEARCH_ALPHA.value:g} at {_SEARCH_RESOLUTION.value} px"
    print(f"{name} to {_PERCENT.value} %, {asked.iterations} iterations: {asked.filled}")


if __name__ == "__main__":
    run(main)
