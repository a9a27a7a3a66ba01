"""Says what numbers were measured on."""

import importlib.metadata
import os
import platform
import resource
import sys


def describe_machine(*packages):
    """Processor, cores, load and versions, a dict.

    Args:
        packages: Names of distributions; those that are not installed are left out.
    """
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        name = names[0] if names else name
    described = {
        "processor": name,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }
    for package in packages:
        try:
            described[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return described


def peak_mebibytes():
    """Peak resident memory of this process."""
    if os.path.exists("/proc/self/status"):
        # Not `getrusage`, which on Linux begins with the peak of the process that started this one.
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)
