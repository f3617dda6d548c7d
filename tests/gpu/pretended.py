"""A device "cuda" for a CPU build of PyTorch: autograd asks it for streams and guards, and it does nothing.

Fake tensors and wrapped ones can then say that they are on a GPU. Twenty lines of C++ answer for it, which g++ compiles
in a few seconds; tools share what it makes in the folder that PRETENDED_GPU of the environment names.
:func:`pretend_gpu` must be called before PyTorch is imported, so each tool is a process of its own.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

GUARD = r"""
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
namespace at {
struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const {}
  bool isBuilt() const { return true; }
  bool isAvailable() const { return true; }
  bool hasCUDA() const { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const { return true; }
  c10::DeviceIndex current_device() const { return 0; }
  c10::DeviceIndex deviceCount() const { return 1; }
  c10::DeviceIndex getCurrentDevice() const { return 0; }
  int getNumGPUs() const { return 1; }
};
REGISTER_CUDA_HOOKS(CUDAHooks)
}
namespace {
using c10::Device; using c10::DeviceIndex; using c10::DeviceType; using c10::Stream;
struct Guard final : c10::impl::NoOpDeviceGuardImpl<DeviceType::CUDA> {
  Device exchangeDevice(Device) const { return {DeviceType::CUDA, 0}; }
  Device getDevice() const { return {DeviceType::CUDA, 0}; }
  Stream stream() const noexcept { return Stream(Stream::DEFAULT, Device(DeviceType::CUDA, 0)); }
  Stream getStream(Device) const noexcept { return stream(); }
  Stream getNewStream(Device, int) const { return stream(); }
  Stream exchangeStream(Stream) const noexcept { return stream(); }
  void record(void**, const Stream&, const DeviceIndex, const c10::EventFlag) const {}
  void block(void*, const Stream&) const {}
  bool queryEvent(void*) const { return true; }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard);
}
"""
#: Operations that keep the host waiting for the GPU: a capture refuses them.
WAITS = {
    "bincount", "_unique2", "unique_dim", "unique_consecutive", "nonzero", "_local_scalar_dense", "masked_select",
    "repeat_interleave", "equal", "is_nonzero",
}  # fmt: skip


def pretend_gpu() -> None:
    """Make autograd accept the device "cuda" in a CPU build."""
    assert "torch" not in sys.modules, "PyTorch must not have been imported yet"
    spec = importlib.util.find_spec("torch")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    if any((folder / "lib").glob("libtorch_cuda*")):
        return  # a CUDA build knows the device
    with tempfile.TemporaryDirectory() as made:
        library = Path(os.environ.get("PRETENDED_GPU", made), "guard.so")
        if not library.exists():
            compile_guard(library, folder)
        for name in ("libc10.so", "libtorch_cpu.so"):
            ctypes.CDLL(str(folder / "lib" / name), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(library))


def compile_guard(library: Path, torch_folder: Path) -> None:
    """Have g++ make the library of what answers for the device."""
    source = library.with_suffix(".cpp")
    source.write_text(GUARD)
    for standard in ("c++20", "c++17"):
        command = ["g++", "-O0", f"-std={standard}", "-w", "-shared", "-fPIC", f"-I{torch_folder / 'include'}"]
        command += [str(source), "-o", str(library), f"-L{torch_folder / 'lib'}", "-lc10", "-ltorch_cpu"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return
    raise RuntimeError(done.stderr[:2000])
