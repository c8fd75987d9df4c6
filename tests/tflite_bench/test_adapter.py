"""What the accelerator prints; the lines are those of ai-edge-litert 2.3.0."""

import pytest

from tflite_bench.adapter import (
    HARDWARE,
    SOFTWARE,
    Adapter,
    is_software,
    left_operators,
    remarks,
    selected_adapter,
    takes_nothing,
    why_unusable,
)

SOFTWARE_LINE = (
    "I0000 00:00:1.3 1 environment.cc:532] Selected adapter: SwiftShader Device (Subzero), arch=swiftshader, "
    "vendor=google, backend=Vulkan, adapterType=CPU / Software\n"
)
HARDWARE_LINE = (
    "I0000 00:00:1.3 1 environment.cc:532] Selected adapter: Some GPU, 8 GB, arch=ampere, vendor=some, "
    "backend=Vulkan, adapterType=Discrete GPU\n"
)
PARTIAL = """\
INFO: [compiled_model.cc:829] Flatbuffer model initialized directly from incoming litert model.
ERROR: Following operations are not supported by GPU delegate:
ZEROS_LIKE: Operation is not supported.
SOFTMAX: Softmax.beta != 1 is not supported.
1 operations will run on the GPU, and the remaining 2 operations will run on the CPU.
I0000 00:00:1.3 1 delegate_kernel.cc:984] Initializing WebGPU-based API from graph.
"""
NONE_TAKEN = """\
ERROR: Following operations are not supported by GPU delegate:
LOG_SOFTMAX: Operation is not supported.
No operations will run on the GPU, and all 1 operations will run on the CPU.
"""
NO_ADAPTER = """\
INFO: [delegate_webgpu.cc:342] Create WebGPU environment (use_low_power=0, enable_host_mapped_pointer=1)
error: XDG_RUNTIME_DIR is invalid or not set in the environment.
Warning: Vulkan shaderUniform*ArrayDynamicIndexing required.
 - While initializing adapter (backend=BackendType::Vulkan)
ERROR: [delegate_webgpu.cc:359] Failed to initialize WebGPU environment: INTERNAL: No adapters found
"""
NO_ACCELERATOR = """\
INFO: [gpu_registry.cc:130] Attempting to load GPU accelerator(/x/libLiteRtWebGpuAccelerator.so).
WARNING: [gpu_registry.cc:160] GPU accelerator could not be loaded and registered.
"""


def test_a_software_driver_is_told_from_a_gpu():
    software = selected_adapter(SOFTWARE_LINE, {"SwiftShader Device (Subzero)": "SwiftShader driver 5.0.0"})
    assert software == Adapter("SwiftShader Device (Subzero)", "SwiftShader driver 5.0.0", "Vulkan", SOFTWARE)
    assert "software" in str(software)
    hardware = selected_adapter(HARDWARE_LINE, {})
    assert hardware == Adapter("Some GPU, 8 GB", "not known", "Vulkan", HARDWARE)
    assert "software" not in str(hardware)


def test_without_its_line_no_adapter_is_believed():
    assert selected_adapter(PARTIAL, {}) is None


def test_operators_that_are_left_are_named_with_the_reason():
    assert left_operators(PARTIAL) == (
        "ZEROS_LIKE: Operation is not supported.",
        "SOFTMAX: Softmax.beta != 1 is not supported.",
    )
    assert not takes_nothing(PARTIAL)
    assert left_operators(NONE_TAKEN) == ("LOG_SOFTMAX: Operation is not supported.",)
    assert takes_nothing(NONE_TAKEN)
    assert left_operators(SOFTWARE_LINE) == ()


def test_operators_of_several_lists_are_named_each_once():
    repeated = NONE_TAKEN.replace("LOG_SOFTMAX: Operation is not supported.\n", "LOG_SOFTMAX: Not supported.\n" * 2)
    assert left_operators(PARTIAL + repeated) == (*left_operators(PARTIAL), "LOG_SOFTMAX: Not supported.")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (NO_ADAPTER, r"no GPU adapter .*shaderUniform\*ArrayDynamicIndexing required.*VK_DRIVER_FILES"),
        (NO_ACCELERATOR, r"accelerator is missing.*libLiteRtWebGpuAccelerator\.so"),
        ("ERROR: [x.cc:1] the device is lost\n", "runs nothing here: the device is lost"),
        (
            "ERROR: [x.cc:1] the device is lost\nerror: XDG_RUNTIME_DIR is invalid or not set in the environment.\n",
            "runs nothing here: the device is lost",
        ),
        ("", "it says nothing"),
    ],
)
def test_why_there_is_no_gpu(log, said):
    import re

    assert re.search(said, why_unusable(log))


def test_remarks_are_made_on_software_and_on_partial_delegation_only():
    gpu = Adapter("Some GPU", "driver 1", "Vulkan", HARDWARE)
    software = Adapter("SwiftShader", "driver 1", "Vulkan", SOFTWARE)
    assert remarks("host/gpu", gpu.fingerprint(allows_partial=False)) == []
    assert remarks("host/cpu:1", {"cpu": "some"}) == []
    [said] = remarks("host/gpu", software.fingerprint(allows_partial=False))
    assert said.startswith("host/gpu: SwiftShader is a software driver")
    [said] = remarks("host/gpu", gpu.fingerprint(allows_partial=True))
    assert "on the CPU" in said
    assert is_software(software.fingerprint(allows_partial=True))
    assert not is_software({"cpu": "some"})
