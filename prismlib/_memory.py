"""What writing to a tensor changes: a table, or a copy of its rows that nobody will see again.

:func:`prismlib.prism_` writes into a table. A tensor that looks like one may be a copy: rows picked by ids, another
dtype, a table that ``weight_norm`` or pruning computes, the whole of a sharded table. A copy is told from the table by
its memory, which no table shares.
"""

from __future__ import annotations

import dis
import gc
import sys
import time
from math import gcd
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

#: A tensor that only a collective's thread still holds is taken for a shared one after so many seconds.
_COLLECTIVE_LETS_GO_S = 0.5
_COMPUTED = (
    "is computed from other tensors, so that writing to it would change no table: call prism_ before weight_norm, "
    "spectral_norm or pruning; and on a slice, weight[a:b], since rows picked by ids are a copy"
)
_GATHERED = (
    "is a copy of rows of a sharded table, so that writing to it would change no table: call prism_ on the whole "
    "DTensor, with the counts of all rows, or on a slice before fully_shard"
)


def check_writes_to_table(name: str, weight: Tensor, references: int, caller: FrameType | None) -> None:
    """Raise a ValueError where writing to a tensor would change no table, as far as its memory tells.

    Refused are a tensor that autograd knows to be computed, rows that share memory with each other, a redistributed
    slice of a DTensor, the attribute that pruning and the older ``weight_norm`` compute anew at each use, and a tensor
    that is alone with its memory while nothing holds it but the present call, whose result is thrown away.

    Args:
        name: what the error calls the tensor.
        weight: the tensor that is to be written to, 2-D.
        references: ``sys.getrefcount(weight)`` in the function that was called with it.
        caller: the frame that called this function, None where there is none.

    Raises:
        ValueError: see above.

    >>> check_writes_to_table("weight", nn.Embedding(3, 2).weight, references=9, caller=None)
    >>> check_writes_to_table("weight", nn.Embedding(3, 2).weight * 2, references=9, caller=None)
    Traceback (most recent call last):
    ValueError: weight is computed from other tensors, so that writing to it would change no table: call prism_ before \
weight_norm, spectral_norm or pruning; and on a slice, weight[a:b], since rows picked by ids are a copy
    """
    if _rows_overlap(_local(weight)):
        raise ValueError(
            f"{name} has rows that share memory with each other, as those of expand and unfold do, so that they cannot "
            f"have norms of their own: {name}.clone() gives each row its own memory"
        )
    if weight.is_inference() and not torch.is_inference_mode_enabled():
        raise ValueError(f"{name} was made under torch.inference_mode(): it can be written to only there")
    if _is_a_table(name, weight) or _is_shared(weight):
        return
    if attribute := _computed_attribute(weight):
        raise ValueError(f"{name} is computed from {attribute}: {_COMPUTED.partition(': ')[2]}")
    if _may_be_gathered(weight):
        raise ValueError(
            f"{name} is a view of rows that nothing else holds, as full_tensor() of a sharded table is, so that "
            "writing to it would change no table: call prism_ on the whole DTensor, with the counts of all rows; "
            f"{name}.clone() makes a tensor of your own"
        )
    if references <= _references_of_a_temporary() and caller is not None and _result_is_dropped(caller):
        raise ValueError(
            f"{name} is a copy that nothing else holds, so that writing to it would change no table: call prism_ on "
            f"the table or on a slice, {name}[a:b], since rows picked by ids, .half() and full_tensor() are copies, "
            "and before weight_norm or pruning; prism returns the scaled rows"
        )


def _is_a_table(name: str, weight: Tensor) -> bool:
    """Whether a tensor is a parameter, a leaf that requires a gradient, or a view of one; an error for what is neither.

    False where PyTorch keeps no record of what the tensor was computed from.
    """
    source = weight._base if weight._is_view() else weight
    if source is None:  # of a view of a table that autograd does not follow
        return True
    sharded = hasattr(weight, "device_mesh")
    if not source.is_leaf or (weight.requires_grad and not source.requires_grad and not _is_view_of_its_table(weight)):
        raise ValueError(f"{name} {_GATHERED if sharded or _comes_from_dtensor(weight) else _COMPUTED}")
    if not _share_memory(weight, source):  # DTensor makes a slice of rows by redistributing them
        raise ValueError(f"{name} {_GATHERED}")
    return isinstance(source, nn.Parameter) or source.requires_grad


def _local(weight: Tensor) -> Tensor:
    """The rows of this rank, of a DTensor."""
    local: Tensor = getattr(weight, "_local_tensor", weight)
    return local


def _share_memory(one: Tensor, other: Tensor) -> bool:
    return _local(one).untyped_storage().data_ptr() == _local(other).untyped_storage().data_ptr()


def _rows_overlap(weight: Tensor) -> bool:
    """Whether two entries have one place: ``i * a + j * b`` is one number for two pairs of row i and column j."""
    (rows, columns), (a, b) = weight.shape, weight.stride()
    step = gcd(a, b) or 1
    return weight.numel() > 1 and b // step < rows and a // step < columns


def _graph_leaves(weight: Tensor) -> list[Tensor]:
    """The tensors that autograd computes a tensor from; none where it can no longer say."""
    try:
        nodes: list[Any] = [weight.grad_fn]
    except RuntimeError:  # of one of the views by split, after another one was written to
        return []
    leaves, seen = [], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        nodes += [before for before, _ in node.next_functions]
    return leaves


def _is_view_of_its_table(weight: Tensor) -> bool:
    """Of a view that a DTensor gave: ``to_local()`` shares the table's memory, ``full_tensor()`` does not."""
    leaves = _graph_leaves(weight)
    return not leaves or any(_share_memory(weight, leaf) for leaf in leaves)


def _comes_from_dtensor(weight: Tensor) -> bool:
    return any(hasattr(leaf, "device_mesh") for leaf in _graph_leaves(weight))


def _is_shared(weight: Tensor) -> bool:
    """Whether anything but the tensor itself has its memory, as far as PyTorch can tell."""
    local = _local(weight)
    storage = local.untyped_storage()
    # NumPy's memory, that of a file or of another process; on a GPU, is_shared() is true of all
    elsewhere = not storage.resizable() or (local.device.type == "cpu" and storage.is_shared())
    if elsewhere or not hasattr(torch._C, "_storage_Use_Count"):
        return True
    alone = torch.empty(1) if local._base is None else torch.empty(1).view(1)
    few = _owners(alone)
    # a collective's thread lets go of its result a moment after it is done
    deadline = time.monotonic() + (_COLLECTIVE_LETS_GO_S if _is_distributed() else 0)
    while shared := any(count > alike for count, alike in zip(_owners(local), few, strict=True)):
        if time.monotonic() >= deadline:
            break
        time.sleep(0.001)
    return shared


def _owners(tensor: Tensor) -> tuple[int, int]:
    """How often a tensor's storage is held, and how often the tensor that it is a view of."""
    base = tensor._base
    return torch._C._storage_Use_Count(tensor.untyped_storage()._cdata), 0 if base is None else sys.getrefcount(base)


def _may_be_gathered(weight: Tensor) -> bool:
    """Whether a tensor that is alone with its memory may be ``full_tensor()``, or a slice of it, without a gradient.

    That is a view of a tensor that nothing else holds. A process that shards no table makes such views of its own.
    """
    base = weight._base
    return _is_distributed() and base is not None and base.shape[1:] == weight.shape[1:]


def _is_distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _computed_attribute(weight: Tensor) -> str | None:
    """The parameter from which pruning, or the older weight_norm, computes a module's attribute at each use."""
    for holder in gc.get_referrers(weight):
        attributes = vars(holder) if issubclass(type(holder), nn.Module) else holder
        if not isinstance(attributes, dict) or not isinstance(attributes.get("_parameters"), dict):
            continue
        names = [name for name, value in list(attributes.items()) if value is weight]
        for parameter in (f"{name}{suffix}" for name in names for suffix in ("_orig", "_v")):
            if parameter in attributes["_parameters"]:
                return parameter
    return None


def _references(tensor: Tensor) -> int:
    return sys.getrefcount(tensor)


def _references_of_a_temporary() -> int:
    """``sys.getrefcount`` of an argument that nothing else holds; 0 where Python counts a variable's alike."""
    variable = torch.empty(0)
    temporary = _references(torch.empty(0))
    return temporary if temporary < _references(variable) else 0


def _result_is_dropped(caller: FrameType) -> bool:
    """Whether a frame's next instruction throws away the result of the call that it is in."""
    following = (step for step in dis.get_instructions(caller.f_code) if step.offset > caller.f_lasti)
    return next(following).opname == "POP_TOP"
