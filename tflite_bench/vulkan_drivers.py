"""Which Vulkan devices this machine has, and their drivers, asked of the loader itself.

Structures and numbers: the Vulkan specification, `vulkan_core.h`.
"""

import ctypes
from collections.abc import Iterator

_LOADER = "libvulkan.so.1"
_VERSION_1_1 = 1 << 22 | 1 << 12
_APPLICATION_INFO, _INSTANCE_CREATE_INFO = 0, 1
_PHYSICAL_DEVICE_PROPERTIES_2, _DRIVER_PROPERTIES = 1000059001, 1000196000
_NAME_BYTES = 256
_LIMITS_BYTES = 2048  # more than the device's limits take


class _ApplicationInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("version", ctypes.c_uint32),
        ("engine", ctypes.c_char_p),
        ("engine_version", ctypes.c_uint32),
        ("api_version", ctypes.c_uint32),
    )


class _InstanceCreateInfo(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
        ("application", ctypes.POINTER(_ApplicationInfo)),
        ("layer_count", ctypes.c_uint32),
        ("layers", ctypes.c_void_p),
        ("extension_count", ctypes.c_uint32),
        ("extensions", ctypes.c_void_p),
    )


class _DriverProperties(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("id", ctypes.c_int),
        ("name", ctypes.c_char * _NAME_BYTES),
        ("info", ctypes.c_char * _NAME_BYTES),
        ("conformance", ctypes.c_uint8 * 4),
    )


class _DeviceProperties(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("api_version", ctypes.c_uint32),
        ("driver_version", ctypes.c_uint32),
        ("vendor", ctypes.c_uint32),
        ("device", ctypes.c_uint32),
        ("device_type", ctypes.c_int),
        ("name", ctypes.c_char * _NAME_BYTES),
        ("limits", ctypes.c_uint8 * _LIMITS_BYTES),
    )


def vulkan_drivers() -> dict[str, str]:
    """Driver and its version by the name of the device; empty where there is no loader, or no driver."""
    try:
        loader = ctypes.CDLL(_LOADER)
        return dict(_described(loader))
    except (OSError, AttributeError):  # no loader, or one from before Vulkan 1.1
        return {}


def _described(loader: ctypes.CDLL) -> Iterator[tuple[str, str]]:
    application = _ApplicationInfo(type=_APPLICATION_INFO, api_version=_VERSION_1_1)
    request = _InstanceCreateInfo(type=_INSTANCE_CREATE_INFO, application=ctypes.pointer(application))
    instance, count = ctypes.c_void_p(), ctypes.c_uint32()
    if loader.vkCreateInstance(ctypes.byref(request), None, ctypes.byref(instance)):
        return
    loader.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), None)
    devices = (ctypes.c_void_p * count.value)()
    loader.vkEnumeratePhysicalDevices(instance, ctypes.byref(count), devices)
    for device in devices[: count.value]:
        driver = _DriverProperties(type=_DRIVER_PROPERTIES)
        properties = _DeviceProperties(
            type=_PHYSICAL_DEVICE_PROPERTIES_2, next=ctypes.cast(ctypes.pointer(driver), ctypes.c_void_p)
        )
        loader.vkGetPhysicalDeviceProperties2(ctypes.c_void_p(device), ctypes.byref(properties))
        version = driver.info.decode(errors="replace") or _version_text(properties.driver_version)
        name = driver.name.decode(errors="replace") or "driver"
        yield properties.name.decode(errors="replace"), f"{name} {version}"
    loader.vkDestroyInstance(instance, None)


def _version_text(version: int) -> str:
    """A version as Vulkan packs its own; a vendor may pack it otherwise, and is then only told apart."""
    return f"{version >> 22}.{version >> 12 & 0x3FF}.{version & 0xFFF}"
