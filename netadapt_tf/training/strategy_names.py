"""How long stages of training can be spread over devices; it imports nothing, so that `--help` is quick."""

NONE, MIRRORED, MULTI_WORKER = "none", "mirrored", "multi_worker"
STRATEGIES = (NONE, MIRRORED, MULTI_WORKER)
