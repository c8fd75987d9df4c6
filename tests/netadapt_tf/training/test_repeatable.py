import tensorflow as tf

from netadapt_tf.training.repeatable import make_repeatable


def test_no_process_takes_a_whole_gpu_that_others_may_share(monkeypatch):
    grow: dict[str, bool] = {}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow.__setitem__)
    make_repeatable(tf.config.threading.get_intra_op_parallelism_threads())
    assert grow == {"GPU:0": True, "GPU:1": True}
