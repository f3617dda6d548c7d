"""A trained model in a file, with what says which model it is, so that it is read into no other.

PRISM leaves no state: the lengths are in the tables. What a state does *not* say is the class and the graph. That of
:class:`~prismlib.models.LightGCN` holds the two tables alone, and PyTorch reads it into
:class:`~prismlib.models.MF`, or into a LightGCN of another graph, without a word. Never call
:func:`~prismlib.init.prism_` on a model that was read: it would overwrite the lengths that training has left.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from prismlib._checks import check_has_tables
from prismlib.data import Split
from prismlib.files import open_atomically
from prismlib.losses import RankingLoss
from prismlib.models import Backbone

# The first entry of a file, which says that :func:`save` wrote it, and how.
_FORM = "prismlib checkpoint 1"


def save(path: Path | str, model: Backbone, split: Split | None, criterion: RankingLoss | None = None) -> None:
    """Write a model's parameters to a file, with its class, sizes, depth, graph and split.

    The file is complete or absent: one that was there is replaced at the end.

    Args:
        path: the file to write; its folder exists.
        model: the trained backbone.
        split: the split that it was trained on, of which the hash is stored; None where there is no split.
        criterion: the loss, needed where it has parameters that rank, as :class:`~prismlib.baselines.MACR` has.

    Raises:
        ValueError: ``model`` has no tables ``user`` and ``item``, or ``split`` is none.
        OSError: no such folder, or no space.

    >>> import tempfile
    >>> from prismlib import MF
    >>> path = Path(tempfile.mkdtemp()) / "model.pt"
    >>> save(path, MF(4, 5, dim=2), split=None)
    >>> load(path, MF(4, 5, dim=3), split=None)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: ...model.pt is of another model: dim is 2 there, and 3 here
    """
    state = _modules(model, criterion).state_dict()
    content = {"form": _FORM, "identity": identity(model, split, criterion), "state": state}
    with open_atomically(Path(path)) as file:
        torch.save(content, file)


def load(path: Path | str, model: Backbone, split: Split | None, criterion: RankingLoss | None = None) -> None:
    """Read a file of :func:`save` into a model made as the saved one was, on the device that the model is on.

    The file is read by :func:`torch.load` with ``weights_only=True``, which runs no code that a file may hold. Where
    anything differs, nothing is changed.

    Args:
        path: the file.
        model: a backbone of the same class, sizes, depth and graph. Its parameters are overwritten.
        split: the split that the model is used on; None where the saved one had none.
        criterion: a loss of the same class and numbers where one was saved. Its parameters are overwritten too.

    Raises:
        ValueError: the file is none of :func:`save`, or is damaged; or it is of another model, graph, split or loss,
            which the message names.
        FileNotFoundError: there is no such file.

    >>> import tempfile
    >>> from prismlib import MF
    >>> path, model, again = Path(tempfile.mkdtemp()) / "model.pt", MF(4, 5, dim=2), MF(4, 5, dim=2)
    >>> save(path, model, split=None)
    >>> load(path, again, split=None)
    >>> torch.equal(model.item.weight, again.item.weight)
    True
    """
    with Path(path).open("rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
        except Exception:  # PyTorch's reader fails on other bytes in any way
            content = None
    if not isinstance(content, dict) or content.get("form") != _FORM:
        raise ValueError(f"{path} is not a whole file of prismlib.checkpoint.save")
    saved, given = content["identity"], identity(model, split, criterion)
    for what in given:
        if saved.get(what) != given[what]:
            raise ValueError(f"{path} is of another model: {what} is {saved.get(what)} there, and {given[what]} here")
    _modules(model, criterion).load_state_dict(content["state"])


def identity(model: Backbone, split: Split | None, criterion: RankingLoss | None = None) -> dict[str, Any]:
    """What says which model a state is of; two models of one identity can exchange their states.

    Args:
        model: a backbone.
        split: the split of its training; None for none.
        criterion: its loss; None for none.

    Returns:
        A dictionary with ``class``, ``num_users``, ``num_items``, ``dim``, ``depth`` (None without one), ``graph`` (a
        hash of the buffers that no state holds, e.g. LightGCN's graph; None without any), ``split``, ``criterion``
        (its class and numbers), and ``parameters``: the name and the shape of each tensor of the state.

    Raises:
        ValueError: ``model`` has no tables ``user`` and ``item``, or ``split`` is none.

    >>> from prismlib import MF
    >>> found = identity(MF(4, 5, dim=2), None)
    >>> found["class"], found["dim"], found["parameters"]
    ('MF', 2, ['0.user.weight 4 x 2', '0.item.weight 5 x 2'])
    """
    check_has_tables(model)
    if split is not None and not isinstance(split, Split):
        raise ValueError(f"split must be a Split or None, got {type(split).__name__}")
    state = _modules(model, criterion).state_dict()
    return {
        "class": type(model).__qualname__,
        "num_users": model.user.num_embeddings,
        "num_items": model.item.num_embeddings,
        "dim": model.item.embedding_dim,
        "depth": getattr(model, "depth", None),
        "graph": _graph_hash(model),
        "split": None if split is None else split.split_hash,
        "criterion": None if criterion is None else f"{type(criterion).__qualname__}({criterion.extra_repr()})",
        "parameters": [f"{name} {' x '.join(map(str, value.shape))}" for name, value in state.items()],
    }


def _modules(model: Backbone, criterion: RankingLoss | None) -> nn.ModuleList:
    """The parts whose parameters are saved."""
    return nn.ModuleList([model] if criterion is None else [model, criterion])


def _graph_hash(model: nn.Module) -> str | None:
    """SHA-256 of the buffers that are not in a state, which is how a backbone holds its graph; None without any."""
    kept = model.state_dict().keys()
    buffers = [(name, value) for name, value in model.named_buffers() if name not in kept]
    if not buffers:
        return None
    digest = hashlib.sha256()
    for name, value in buffers:
        # the values of a graph follow from its edges, and their rounding differs between devices
        whole = value.is_floating_point() or value.is_complex()
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(b"" if whole else value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
