"""What decides the outcome of a run: its configuration, checked when it is made, and its identity."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from prismlib.debias import IPL_COUNTS, IPL_FORMS, MACR_STARTS
from prismlib.optim import DECAY_SCOPES, OPTIMIZERS
from prismlib.train import PRECISIONS

#: The version of what training computes. It is raised when every configuration would train or evaluate differently.
SEMANTICS = 1


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the outcome of a run. Values are checked when it is made.

    Attributes:
        dataset: a name that :func:`prismlib.datasets.load` knows.
        loss: ``"bpr"``, ``"ssm"``, ``"directau"``, ``"mawu"``, or one of ``"ipl"``, ``"resn"``, ``"macr"``.
            Its own parameters, :data:`LOSS_PARAMETERS`, are set for it and None otherwise: ``gamma`` of DirectAU,
            ``tau`` and ``num_negatives`` of SSM, ``gamma_user`` and ``gamma_item`` of MAWU, ``ipl_c`` and ``ipl_b``,
            ``resn_beta``, and ``macr_alpha``, ``macr_beta``, ``macr_c``; see :mod:`prismlib.debias`.
        seed, split_seed: of initialisation and training; of the 80/10/10 split.
        weight_decay: lambda of Equation 1; ``decay_scope`` is what it acts on, see :func:`prismlib.train.fit`.
        init: ``"xavier"``, or ``"prism"`` with its strength ``alpha`` (None otherwise).
        optimizer: see :func:`prismlib.train.fit`; AdamW is ``"adam"`` with ``decay_scope="decoupled"``.
        batch_size: None takes the paper's: 4,096 for DirectAU and MAWU, 16,384 for the others.
        max_epochs, patience: stop after ``patience`` epochs without a better validation NDCG@20.
        device: the class of device, ``"cpu"`` or ``"cuda"``: they do not give the same bits.
        precision: of the training steps, ``"float32"`` or ``"bfloat16"``, see :func:`prismlib.train.fit`.
        relu, negatives, reshuffle, mawu_uniformity, groups_from, drop_last_user, ipl_form: one switch for each place
            where the released code departs from the paper's text; the defaults are the paper's, :data:`PROTOCOLS` has
            both.
        resn_form: ``"batch"``, as the PRISM authors', or ``"items"``, as ReSN's own.
        ipl_counts, macr_start: two more such switches, each of one loss, see :mod:`prismlib.debias`.

    Raises:
        ValueError: a value out of range; the message names the argument and what it accepts.

    >>> RunConfig(dataset="gowalla", loss="bpr").batch_size
    16384
    >>> RunConfig(dataset="gowalla", loss="bpr", weight_decay=-1)
    Traceback (most recent call last):
    ValueError: weight_decay must be >= 0, got -1.0
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
    ipl_counts: str = "train"
    macr_start: str = "uniform"

    def __post_init__(self) -> None:
        def check(name: str, holds: bool, accepted: str) -> None:
            if not holds:
                raise ValueError(f"{name} must be {accepted}, got {getattr(self, name)!r}")

        own = [name for names in LOSS_PARAMETERS.values() for name in names]
        for name in ("lr", "weight_decay", "alpha", *(name for name in own if name != "num_negatives")):
            if getattr(self, name) is not None:  # 1 and 1.0 are one configuration
                check(name, isinstance(getattr(self, name), int | float), "a number")
                object.__setattr__(self, name, float(getattr(self, name)))
        for name, choices in CHOICES.items():
            check(name, getattr(self, name) in choices, f"one of {', '.join(choices)}")
        if self.batch_size is None:
            object.__setattr__(self, "batch_size", 4096 if self.loss in ("directau", "mawu") else 16384)
        for name in ("dim", "batch_size", "max_epochs", "patience"):
            value = getattr(self, name)
            check(name, isinstance(value, int) and value >= 1, "an integer >= 1")
        for name in ("relu", "reshuffle", "drop_last_user"):
            check(name, isinstance(getattr(self, name), bool), "True or False")
        for name in ("seed", "split_seed"):
            value = getattr(self, name)
            check(name, isinstance(value, int) and 0 <= value < 2**63, "an integer in [0, 2**63)")
        check("lr", 0 < self.lr < math.inf, "> 0")
        check("weight_decay", 0 <= self.weight_decay < math.inf, ">= 0")
        for name in own:
            value = getattr(self, name)
            if name in ZERO_ALLOWED and name in LOSS_PARAMETERS[self.loss]:
                check(name, value is not None and 0 <= value < math.inf, f">= 0 for {self.loss}")
            elif name in LOSS_PARAMETERS[self.loss]:
                check(name, value is not None and 0 < value < math.inf, f"> 0 for {self.loss}")
            else:
                check(name, value is None, f"None for {self.loss}")
        check("num_negatives", isinstance(self.num_negatives, int | None), "an integer")
        if self.init == "prism":
            check("alpha", self.alpha is not None and 0 <= self.alpha <= 1, "in [0, 1] for init='prism'")
        else:
            check("alpha", self.alpha is None, f"None for init={self.init!r}")
        if self.optimizer == "sparse_adam":
            check("weight_decay", self.weight_decay == 0, "0 for optimizer='sparse_adam'")
            check("backbone", self.backbone != "lightgcn", "mf or nonlinear-mf for optimizer='sparse_adam'")
        if self.optimizer == "sgd":
            check("decay_scope", self.decay_scope != "decoupled", "table or batch for optimizer='sgd'")

    @property
    def loss_parameters(self) -> dict[str, Any]:
        """The loss's own parameters, by name.

        >>> RunConfig(dataset="gowalla", loss="directau", gamma=5).loss_parameters
        {'gamma': 5.0}
        """
        return {name: getattr(self, name) for name in LOSS_PARAMETERS[self.loss]}


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
ZERO_ALLOWED = ("gamma_user", "gamma_item", "ipl_c", "resn_beta", "macr_alpha", "macr_beta", "macr_c")
CHOICES = {
    "loss": tuple(LOSS_PARAMETERS),
    "backbone": ("mf", "nonlinear-mf", "lightgcn"),
    "optimizer": OPTIMIZERS,
    "decay_scope": DECAY_SCOPES,
    "init": ("xavier", "prism"),
    "device": ("cpu", "cuda"),
    "negatives": ("all", "batch"),
    "mawu_uniformity": ("pairs", "released"),
    "groups_from": ("train", "all"),
    "ipl_form": IPL_FORMS,
    "ipl_counts": IPL_COUNTS,
    "macr_start": MACR_STARTS,
    "resn_form": ("batch", "items"),
    "precision": PRECISIONS,
}
#: The switches of the paper's text and of the released code, for ``RunConfig(..., **PROTOCOLS["released"])``. Other
#: departures are set with their loss: ``num_negatives=20`` of SSM, ``ipl_counts="batch"`` of IPL, and of MACR
#: ``macr_c=1``, ``macr_alpha=1e-3`` and ``macr_start="normal"``.
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


def run_id(config: RunConfig, content_hash: str) -> str:
    """Identity of a run: 12 hex digits over its configuration, its data and the version of the training semantics.

    Fields at their default are left out, so a field added later does not rename the runs made before it.
    """
    identity = json.dumps([semantics(config), content_hash, changed(config)], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def semantics(config: RunConfig) -> int:
    """The version of what training computes for a configuration: :data:`SEMANTICS`, or later where that has changed.

    ReSN took the rows of every pair of the batch at first, and takes each row once since.

    >>> semantics(RunConfig("gowalla", "bpr")), semantics(RunConfig("gowalla", "resn", resn_beta=0.01))
    (1, 2)
    """
    return SEMANTICS + (config.loss == "resn" and config.resn_form == "batch")


def changed(config: RunConfig) -> dict[str, Any]:
    """The fields that are not at their default."""
    fields = ((field.name, getattr(config, field.name), field.default) for field in dataclasses.fields(config))
    return {name: value for name, value, default in fields if value != default}
