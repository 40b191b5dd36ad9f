"""A GPU that is not there: its tensors lie in RAM, and refuse to meet tensors that do not claim to.

What CUDA refuses is refused: an operation on tensors of two devices, numpy on one of its own. So
all of the package can be run as on a GPU; only speed and CUDA's own kernels are not seen.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

GPU = torch.device("cuda", 0)
INDEXES = {Tensor.__getitem__, Tensor.__setitem__}


class OnGpu(Tensor):
    """A tensor that says it is on a GPU."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func == Tensor.device.__get__:
            return GPU
        if func is Tensor.cpu:
            return args[0].as_subclass(Tensor).clone()
        if func is Tensor.numpy:
            raise TypeError("cannot convert a tensor on a GPU to numpy")
        if func in INDEXES:
            refuse_foreign_index(*args)
        elif func not in (Tensor.copy_, Tensor.to):
            refuse_two_devices(func, (*args, *kwargs.values()))
        return super().__torch_function__(func, types, args, kwargs)


class PretendGpu(TorchFunctionMode):
    """While it is entered, ``cuda`` is a device to make tensors on, and to bring them to."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch._has_compatible_shallow_copy_type:  # a module asks as it moves
            return False
        if func is Tensor.to:
            return moved(args, kwargs)
        named = kwargs.pop("device", None)
        kwargs.pop("pin_memory", None)
        made = func(*args, **kwargs)
        if named is None or not isinstance(made, Tensor):
            return made
        return placed(made, torch.device(named))


def placed(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":
        return tensor if isinstance(tensor, OnGpu) else tensor.clone().as_subclass(OnGpu)
    return tensor.cpu()


def moved(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """What ``Tensor.to`` gives, whose device may be an argument, a keyword, or another tensor's."""
    kwargs.pop("non_blocking", None)
    device = kwargs.pop("device", None)
    rest: list[Any] = []
    for given in args[1:]:
        if isinstance(given, str | torch.device):
            device = torch.device(given)
        elif isinstance(given, Tensor):
            device = given.device
            rest.append(given.dtype)
        elif given is not None and not isinstance(given, bool):
            rest.append(given)
    dtypes = [given for given in (*rest, kwargs.get("dtype")) if given is not None]
    tensor = args[0].type(dtypes[0]) if dtypes else args[0]
    return tensor if device is None else placed(tensor, torch.device(device))


def refuse_two_devices(func: Any, given: Any) -> None:
    tensors = list(every_tensor(given))
    elsewhere = [each for each in tensors if not isinstance(each, OnGpu) and each.dim()]
    if elsewhere and len(elsewhere) < len(tensors):
        raise RuntimeError(f"{func} was given tensors of two devices")


def refuse_foreign_index(tensor: Tensor, index: Any, value: Any = 0) -> None:
    """A GPU's tensor takes indices of the CPU too; the CPU's takes its own alone."""
    indices = list(every_tensor(index if isinstance(index, tuple) else (index,)))
    if not isinstance(tensor, OnGpu):
        refuse_two_devices("an index", (tensor, *indices))
    if indices:
        refuse_two_devices("a row that is put", (tensor, *every_tensor((value,))))


def every_tensor(given: Any) -> Any:
    for each in given:
        if isinstance(each, Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from every_tensor(each)
