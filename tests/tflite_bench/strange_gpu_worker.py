"""`tflite_bench.gpu_worker` on machines where something is the matter with the GPU, as an environment variable says.

`STRANGE_GPU=crashes`: the driver crashes on a model that is no model. `changes`: the same, and every process has a
driver of another version. `no accelerator`: LiteRT's GPU accelerator is not installed. `hangs`: nothing is ever ready.
`repeats`: nothing is; the driver's version is what the process was asked for.
"""

import dataclasses
import os
import time

from ai_edge_litert.environment import Environment

from tflite_bench import gpu_model, gpu_worker

CRASH = b"crash"


class _StrangeAccelerator(gpu_model.Accelerator):
    def __init__(self, request: gpu_model.GpuRequest) -> None:
        super().__init__(request)
        if os.environ["STRANGE_GPU"] == "changes":
            self.adapter = dataclasses.replace(self.adapter, driver=f"version {os.getpid()}")
        if os.environ["STRANGE_GPU"] == "repeats":
            self.adapter = dataclasses.replace(self.adapter, driver=str(request))

    def load(self, tflite: bytes, is_layer: bool = False) -> gpu_model.GpuModel:
        if tflite == CRASH:
            os.abort()
        if os.environ["STRANGE_GPU"] == "hangs":
            time.sleep(60)
        return super().load(tflite, is_layer)


class _NowhereEnvironment:
    """LiteRT's environment, told to look for accelerators where there are none."""

    @staticmethod
    def create() -> Environment:
        return Environment.create(runtime_path=os.devnull)


if __name__ == "__main__":
    gpu_worker.Accelerator = _StrangeAccelerator  # type: ignore[misc]
    if os.environ["STRANGE_GPU"] == "no accelerator":
        gpu_model.Environment = _NowhereEnvironment
    gpu_worker.main()
