"""What decides the outcome of a run: its configuration, checked when it is made, and its identity."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from prismbook.plan.fields import choice, flag, integer, number, rate, text
from prismlib.baselines import IPL_FORMS, MACR_STARTS
from prismlib.optim import DECAY_SCOPES, OPTIMIZERS, ROW_SPARSE
from prismlib.train import PRECISIONS

#: The version of what training computes. It is raised when every configuration would train or evaluate differently.
SEMANTICS = 1
#: The parameters of each loss, fields of :class:`RunConfig`.
LOSS_PARAMETERS = {
    "bpr": (),
    "ssm": ("tau", "num_negatives"),
    "directau": ("gamma",),
    "mawu": ("gamma_user", "gamma_item"),
    "ipl": ("ipl_c", "ipl_b"),
    "resn": ("resn_beta",),
    "macr": ("macr_alpha", "macr_beta", "macr_c"),
}
#: The parameters of all losses, in the order of :data:`LOSS_PARAMETERS`.
ALL_LOSS_PARAMETERS = tuple(name for names in LOSS_PARAMETERS.values() for name in names)
_ABOVE_0 = rate()
_FROM_0 = number(lambda value: value >= 0, "a finite number >= 0")
_FROM_0_TO_1 = number(lambda value: 0 <= value <= 1, "a number in [0, 1]")
#: What each field of a configuration accepts, besides None where that is its default.
FIELDS = {
    "dataset": text("the name of a dataset, as text"),
    "loss": choice(LOSS_PARAMETERS),
    "gamma": _ABOVE_0,
    "seed": integer(0),
    "split_seed": integer(0),
    "backbone": choice(("mf", "nonlinear-mf", "lightgcn")),
    "dim": integer(1),
    "optimizer": choice(OPTIMIZERS),
    "lr": _ABOVE_0,
    "weight_decay": _FROM_0,
    "decay_scope": choice(DECAY_SCOPES),
    "init": choice(("xavier", "prism")),
    "alpha": _FROM_0_TO_1,
    "batch_size": integer(1),
    "max_epochs": integer(1),
    "patience": integer(1),
    "device": choice(("cpu", "cuda")),
    "tau": _ABOVE_0,
    "num_negatives": integer(1),
    "gamma_user": _FROM_0,
    "gamma_item": _FROM_0,
    "relu": flag(),
    "negatives": choice(("all", "batch")),
    "reshuffle": flag(),
    "mawu_uniformity": choice(("pairs", "released")),
    "groups_from": choice(("train", "all")),
    "drop_last_user": flag(),
    "ipl_c": _FROM_0,
    "ipl_b": _ABOVE_0,
    "ipl_form": choice(IPL_FORMS),
    "resn_beta": _FROM_0,
    "resn_form": choice(("batch", "items")),
    "macr_alpha": _FROM_0,
    "macr_beta": _FROM_0,
    "macr_c": _FROM_0,
    "precision": choice(PRECISIONS),
    "macr_start": choice(MACR_STARTS),
    "length_exponent": _FROM_0_TO_1,
}


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the outcome of a run. Values are checked when it is made.

    NumPy's numbers are taken for Python's, so that equal configurations have one identity. Text is never taken for a
    number or a boolean, nor a boolean for a number.

    Attributes:
        dataset: a name that :func:`prismlib.datasets.load` knows.
        loss: ``"bpr"``, ``"ssm"``, ``"directau"`` or ``"mawu"``, or one of the debiasing baselines ``"ipl"``,
            ``"resn"`` and ``"macr"``. The parameters of this loss (:data:`LOSS_PARAMETERS`) must be given. Those of
            all other losses are None.
        gamma: DirectAU's weight of uniformity, above 0.
        seed: the seed of the starting values and of training, in [0, 2**63).
        split_seed: the seed of the random 80/10/10 split, in [0, 2**63).
        backbone: ``"mf"``, ``"nonlinear-mf"`` or ``"lightgcn"``, see :mod:`prismlib.models`.
        dim: the number of columns of each embedding table.
        optimizer: ``"adam"``, ``"sgd"``, ``"sgd_momentum"``, ``"rowwise_adagrad"``, ``"sparse_adam"`` or
            ``"row_adam"``, see :func:`prismlib.optim.make_optimizer`. AdamW is ``"adam"`` with
            ``decay_scope="decoupled"``.
        lr: the learning rate, above 0.
        weight_decay: lambda of Equation 1, at least 0.
        decay_scope: what weight decay acts on: ``"table"``, ``"batch"`` or ``"decoupled"``, see
            :func:`prismlib.train.fit`.
        init: the starting values of the tables, ``"xavier"`` or ``"prism"``.
        alpha: PRISM's strength in [0, 1] for ``init="prism"``, None otherwise.
        batch_size: training interactions per step. None takes the paper's: 4,096 for DirectAU and MAWU, 16,384 for
            the other losses. On synthetic data, which is small, None takes 1,024.
        max_epochs: the largest number of epochs.
        patience: training stops after this many epochs without a better validation NDCG@20.
        device: the class of device, ``"cpu"`` or ``"cuda"``. The two do not give the same bits.
        tau: SSM's temperature, above 0.
        num_negatives: SSM's negatives per training interaction.
        gamma_user: MAWU's weight of the users' uniformity, at least 0.
        gamma_item: MAWU's weight of the items' uniformity, at least 0.
        relu: False removes the ReLU from the perceptrons of non-linear MF. The released code computes this ReLU and
            discards its result.
        negatives: ``"all"`` draws negatives from all items. ``"batch"`` draws them from the distinct items of the
            batch, as the released code does.
        reshuffle: False keeps the order of the training interactions in every epoch, as the released code does. True
            shuffles them before each epoch.
        mawu_uniformity: ``"pairs"`` is MAWU's uniformity over all pairs of the batch. ``"released"`` counts half of
            the cosine matrix as zeros, as the released code does.
        groups_from: the interactions on which the test's popularity groups are counted: ``"train"``, or ``"all"``
            (train, validation and test) as in the released code.
        drop_last_user: True leaves the last user with held-out items out of the mean, as the released code does.
        ipl_c: IPL's weight of the penalty, at least 0.
        ipl_b: IPL's exponent of popularity, above 0.
        ipl_form: what IPL's penalty runs over: ``"batch"``, ``"epoch"``, or ``"released"``, see
            :class:`prismlib.baselines.IPL`. In the last, scores land on the wrong items, as in the released code.
        resn_beta: ReSN's weight of the penalty, at least 0.
        resn_form: ``"batch"`` is ReSN on the rows of the batch, as the authors of PRISM run it. ``"items"`` is ReSN on
            all items, as its own authors run it.
        macr_alpha: MACR's weight of the item branch's loss, at least 0.
        macr_beta: MACR's weight of the user branch's loss, at least 0.
        macr_c: what MACR lowers scores by when it ranks, at least 0.
        precision: the number format of the training steps, ``"float32"`` or ``"bfloat16"``, see
            :func:`prismlib.train.fit`.
        macr_start: the starting values of MACR's two branches: ``"uniform"``, or ``"normal"`` as in the released code.
        length_exponent: the exponent b of the lengths d ** b with which the validation ranks, so that the best epoch is
            the best with these lengths, see :mod:`prismlib.lengths`. None ranks with the items' own lengths.

    Raises:
        ValueError: a value of another type or out of range. The message names the field and what it accepts.

    >>> RunConfig(dataset="gowalla", loss="bpr").batch_size
    16384
    >>> RunConfig(dataset="gowalla", loss="bpr", weight_decay=-1)
    Traceback (most recent call last):
    ValueError: weight_decay must be a finite number >= 0, got -1
    """

    dataset: str
    loss: str
    gamma: float | None = None
    seed: int = 123
    split_seed: int = 123
    backbone: str = "mf"
    dim: int = 64
    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    decay_scope: str = "table"
    init: str = "xavier"
    alpha: float | None = None
    batch_size: int | None = None
    max_epochs: int = 1000
    patience: int = 10
    device: str = "cpu"
    tau: float | None = None
    num_negatives: int | None = None
    gamma_user: float | None = None
    gamma_item: float | None = None
    relu: bool = True
    negatives: str = "all"
    reshuffle: bool = True
    mawu_uniformity: str = "pairs"
    groups_from: str = "train"
    drop_last_user: bool = False
    ipl_c: float | None = None
    ipl_b: float | None = None
    ipl_form: str = "batch"
    resn_beta: float | None = None
    resn_form: str = "batch"
    macr_alpha: float | None = None
    macr_beta: float | None = None
    macr_c: float | None = None
    precision: str = "float32"
    macr_start: str = "uniform"
    length_exponent: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).copy().items():
            if value is not _DEFAULTS[name]:  # most fields of most configurations are their defaults
                object.__setattr__(self, name, checked(name, value))
        if self.batch_size is None:
            size = 4096 if self.loss in ("directau", "mawu") else 16384
            object.__setattr__(self, "batch_size", 1024 if self.dataset == "synthetic" else size)
        self._check_loss_parameters()
        self._check_combinations()

    def _check(self, name: str, holds: bool, accepted: str) -> None:
        if not holds:
            raise ValueError(f"{name} must be {accepted}, got {getattr(self, name)!r}")

    def _check_loss_parameters(self) -> None:
        for name in ALL_LOSS_PARAMETERS:
            if name in LOSS_PARAMETERS[self.loss]:
                self._check(name, getattr(self, name) is not None, f"{FIELDS[name].accepted} for {self.loss}")
            else:
                self._check(name, getattr(self, name) is None, f"None for {self.loss}")

    def _check_combinations(self) -> None:
        if self.init == "prism":
            self._check("alpha", self.alpha is not None, "in [0, 1] for init='prism'")
        else:
            self._check("alpha", self.alpha is None, f"None for init={self.init!r}")
        if self.optimizer in ROW_SPARSE:
            self._check("weight_decay", self.weight_decay == 0, f"0 for optimizer={self.optimizer!r}")
            self._check("backbone", self.backbone != "lightgcn", f"mf or nonlinear-mf for optimizer={self.optimizer!r}")
        if self.optimizer != "adam":
            accepted = f"table or batch for optimizer={self.optimizer!r}"
            self._check("decay_scope", self.decay_scope != "decoupled", accepted)
        if self.loss == "macr":
            self._check("length_exponent", self.length_exponent is None, "None for macr, which ranks by its own rule")

    @property
    def loss_parameters(self) -> dict[str, Any]:
        """The parameters of this configuration's loss, by name.

        >>> RunConfig(dataset="gowalla", loss="directau", gamma=5).loss_parameters
        {'gamma': 5.0}
        """
        return {name: getattr(self, name) for name in LOSS_PARAMETERS[self.loss]}


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(RunConfig)}


@functools.cache
def at_seed(config: RunConfig, seed: int, split_seed: int) -> RunConfig:
    """The same configuration at another seed, and on another split.

    >>> at_seed(RunConfig("gowalla", "bpr"), 246, 246).seed
    246
    """
    return dataclasses.replace(config, seed=seed, split_seed=split_seed)


def checked(field: str, value: Any, argument: str | None = None) -> Any:
    """The value of one field of :class:`RunConfig` as the class keeps it: a Python value in the field's range.

    Args:
        field: the name of the field.
        value: what was given for it.
        argument: the name that the caller typed, for the message, where it is not the field's.

    Raises:
        ValueError: a value of another type, or out of range.

    >>> import numpy as np
    >>> checked("dim", np.int64(64)), checked("lr", 1), checked("relu", np.bool_(False))
    (64, 1.0, False)
    >>> checked("max_epochs", "3", argument="epochs")
    Traceback (most recent call last):
    ValueError: epochs must be an integer >= 1, got '3'
    """
    if value is None and _DEFAULTS[field] is None:
        return None
    return FIELDS[field].checked(argument or field, value)


#: The switches of the paper's text and of the released code, for ``RunConfig(..., **PROTOCOLS["released"])``. Other
#: departures are set with their loss: ``num_negatives=20`` of SSM, and ``macr_c=1``, ``macr_alpha=1e-3`` and
#: ``macr_start="normal"`` of MACR.
PROTOCOLS: dict[str, dict[str, Any]] = {
    "paper": {},
    "released": {
        "relu": False,  # the perceptron's ReLU is computed and discarded
        "negatives": "batch",  # drawn from the batch's distinct items, not from all
        "reshuffle": False,  # batches keep the split's random order in every epoch
        "mawu_uniformity": "released",  # half of the cosine matrix counts as zeros
        "groups_from": "all",  # popularity groups of the test are counted on train + validation + test
        "drop_last_user": True,  # the last user with held-out items is left out of the mean
        "ipl_form": "released",  # scores land on wrong items, and the negatives' are summed too
    },
}


def run_id(config: RunConfig, content_hash: str, split_hash: str | None = None) -> str:
    """The identity of a run: 12 hex digits over its configuration, its data and the version of what training computes.

    Fields at their default are left out, so a field that is added later does not rename the runs made before it.

    Args:
        content_hash: the content hash of its dataset.
        split_hash: the hash of a split of your own; None for the random split of ``config.split_seed``.

    >>> config = RunConfig("gowalla", "bpr")
    >>> run_id(config, "x") == run_id(config, "x", split_hash="y")
    False
    """
    parts = [semantics(config), content_hash, changed(config), *([] if split_hash is None else [split_hash])]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def semantics(config: RunConfig) -> int:
    """The version of what training computes for a configuration: :data:`SEMANTICS`, or later where that has changed.

    ReSN took the rows of every pair of the batch at first. It takes each row once now. IPL's released form summed a
    positive's and its negative's score before the sigmoid at first. It takes them as two values now.

    >>> semantics(RunConfig("gowalla", "bpr")), semantics(RunConfig("gowalla", "resn", resn_beta=0.01))
    (1, 2)
    """
    mended = config.loss == "resn" or (config.loss == "ipl" and config.ipl_form == "released")
    return SEMANTICS + 1 if mended else SEMANTICS


def changed(config: RunConfig) -> dict[str, Any]:
    """The fields of a configuration that are not at their default."""
    fields = ((field.name, getattr(config, field.name), field.default) for field in dataclasses.fields(config))
    return {name: value for name, value, default in fields if value != default}
