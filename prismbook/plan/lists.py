"""What is to be run, as plain data: datasets, experiments, switches of the released code, seeds."""

from __future__ import annotations

from typing import Any

from prismbook.plan.config import PROTOCOLS, RunConfig
from prismbook.plan.hyperparameters import LOSS_DEFAULTS, LOSS_GRIDS

#: The datasets of the paper, in the order of its tables.
PAPER_DATASETS = ("movielens1m", "gowalla", "yelp2018", "amazonbook")
#: Further datasets, with the experiments that are planned on each. Of Table 1 these have the rows of linear MF alone.
FURTHER_DATASETS: dict[str, tuple[str, ...]] = {
    "movielens1m-all": ("all-ratings",),
    "amazoncds": ("rq1", "table1", "law"),
    "amazonbook-partial": ("rq1", "table1"),
}
SEEDS = (123, 246, 492)


def _released(name: str) -> dict[str, Any]:
    return {name: PROTOCOLS["released"][name]}


_NEGATIVES, _MACR, _WAIT = {"num_negatives": 20}, {"macr_c": 1.0}, {"patience": 100}
# what is compared with a run that differs in one field takes the plain parameters on every dataset
_DIRECTAU = {"losses": "directau", **LOSS_DEFAULTS["directau"]}
_MAWU = {"losses": "mawu", **LOSS_DEFAULTS["mawu"]}
_PRISM: dict[str, Any] = {"weight_decays": 0.0, "init": "prism", "alpha": 1.0}
#: Each departure of the released code from the paper's text, by what it does. The first value is the run that shows it,
#: as arguments to :func:`prismbook.plan.grid.grid_configs`. The second is the switch that makes a run do the same.
#: Where any loss would do, the loss is a cheap one.
SWITCHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "the perceptron's ReLU is computed and discarded": (
        {"losses": "ssm", "backbone": "nonlinear-mf"},
        _released("relu"),
    ),
    "negatives are drawn from the batch's items": ({"losses": "bpr"}, _released("negatives")),
    "batches are not shuffled again": ({"losses": "bpr"}, _released("reshuffle")),
    "half of MAWU's cosine matrix counts as zeros": (_MAWU, _released("mawu_uniformity")),
    "the last user is left out of the mean": ({"losses": "bpr"}, _released("drop_last_user")),
    "popularity groups are counted on all data": ({"losses": "bpr"}, _released("groups_from")),
    "SSM has 20 negatives": ({"losses": "ssm"}, _NEGATIVES),
    "IPL's scores land on the wrong items": ({"losses": "ipl"}, _released("ipl_form")),
    "MACR ranks with c = 1": ({"losses": "macr"}, _MACR),
    "MACR's item branch weighs 0.001": ({"losses": "macr", **_MACR}, {"macr_alpha": 1e-3}),
    "MACR's branches start Xavier-normal": ({"losses": "macr", **_MACR}, {"macr_start": "normal"}),
}
# The debiasing baselines over what is published of their parameters, and DirectAU at every decay beside them
_DEBIAS: list[dict[str, Any]] = [
    {"losses": ("bpr", "ipl"), "weight_decays": 1e-6},
    # its authors publish b for each dataset, and no range for c: a tenth and ten times the plain one
    *({"losses": "ipl", "weight_decays": 1e-6, "ipl_c": c} for c in (0.1, 10.0)),
    *({"losses": "resn", "weight_decays": 1e-6, "resn_beta": beta} for beta in (1e-4, 1e-3, 1e-2, 1e-1)),
    # its authors run alpha 1e-3 and 1e-2 and c 30 and 40, which ranks almost nothing right on these data; the released
    # script of PRISM has c = 1
    *(
        {"losses": "macr", "weight_decays": 1e-6, "macr_alpha": alpha, "macr_c": c}
        for alpha in (1e-2, 1e-3)
        for c in (1.0, 30.0, 40.0)
    ),
    {"losses": "directau"},
    {"losses": "directau", **_PRISM},
]
#: The validation that lengths put on at scoring need: raw dot products end a training without decay in a dip. Which
#: exponent the validation ranks with matters little, since every one is at its best at about the same epoch.
_SCORED = {"length_exponent": 0.25}
#: The law of lengths (this project's): optimisers without decay from the same tables, the rates of plain SGD, and the
#: trainings whose items get other lengths at scoring. Every run keeps what it scores with each exponent.
_LAW = [
    {"losses": "directau", "weight_decays": 0.0, "seeds": SEEDS, **fields}
    for fields in (
        {"optimizer": "sgd", "lr": 30.0},
        _SCORED,
        {"optimizer": "rowwise_adagrad", "lr": 0.1},
        {"optimizer": "sgd_momentum", "lr": 3.0},
        {"optimizer": "sparse_adam"},
    )
] + [
    {"losses": "directau", **fields}
    for fields in (
        *({"decay_scope": "decoupled", "weight_decays": decay} for decay in (0.1, 0.3)),
        *({"optimizer": "sgd", "weight_decays": 0.0, "lr": lr} for lr in (100.0, 10.0, 300.0, 3.0, 1.0)),
        *({"optimizer": "rowwise_adagrad", "weight_decays": 0.0, "lr": lr} for lr in (0.03, 0.3)),
        {"optimizer": "sgd", "weight_decays": 1e-5, "lr": 30.0},
        {"optimizer": "sgd", "lr": 30.0, **_PRISM},
        {"weight_decays": 1e-5, **_SCORED},
        {**_PRISM, **_SCORED},
        {"weight_decays": 1e-7, "lr": 1e-2},  # as 1e-5 at 1e-3, by the law: one product of lr squared and decay
        {"backbone": "lightgcn", "weight_decays": 0.0, **_SCORED},
        {"backbone": "nonlinear-mf", "weight_decays": 0.0, **_SCORED},
    )
] + [
    {"losses": loss, "weight_decays": 0.0, **fields}
    for loss in ("ssm", "mawu", "bpr")
    for fields in ({"optimizer": "sgd", "lr": 30.0}, _SCORED)
]  # fmt: skip
#: The decay above which BPR keeps no row, by :func:`prismlib.theory.bpr_critical_decay` of each dataset's training
#: interactions at seed 123, to two digits. A test computes them again.
CRITICAL_DECAYS = {"synthetic": 9.0e-4, "movielens1m": 2.2e-4, "gowalla": 5.3e-5, "yelp2018": 4.1e-5}
#: By dataset, 0.8 and 1.3 of its critical decay. BPR keeps a single direction at the first, and nothing at the second.
COLLAPSE = {name: tuple(round(share * decay, 7) for share in (0.8, 1.3)) for name, decay in CRITICAL_DECAYS.items()}
#: What each experiment trains, as arguments to :func:`prismbook.plan.grid.grid_configs`. What is not named comes from
#: the budget. Where weight decays are given by dataset, no other dataset has runs. Table 1 is a search, see
#: :func:`prismbook.plan.search.searches`.
EXPERIMENTS: dict[str, list[dict[str, Any]]] = {
    "rq1": [{"losses": ("bpr", "directau")}],  # Figure 1
    "rq1-losses": [{"losses": ("ssm", "mawu")}],  # Figure 10
    "rq1-nonlinear": [{"losses": tuple(LOSS_GRIDS), "backbone": "nonlinear-mf"}],  # Figure 11
    "rq2": [{"losses": ("bpr", "directau")}],  # Figure 2: the norms that RQ1's runs end with
    "batched": [{"losses": "directau", "decay_scope": "batch"}],  # Figure 3
    "rq4": [{"losses": "directau", **_PRISM, "alpha": alpha} for alpha in (0.0, 0.25, 0.5, 0.75, 1.0)],  # Figures 4, 5
    "rq4-decay": [{"losses": "directau"}],  # what they are compared with
    "cosine": [{"losses": "directau"}],  # Figure 6: both validation curves of RQ1's runs
    "lightgcn": [{"losses": "directau", "backbone": "lightgcn"}],  # Figure 8
    "debias": _DEBIAS,  # Figure 9
    "debias-seeds": [arguments | {"seeds": SEEDS} for arguments in _DEBIAS],
    # not in the paper: options for speed that change results, see protocol_pairs
    "speed": [
        {**_DIRECTAU, "weight_decays": 1e-4, "precision": "bfloat16"},
        {**_DIRECTAU, **_PRISM, "precision": "bfloat16"},
        {**_DIRECTAU, **_PRISM, "optimizer": "sparse_adam"},
        {"losses": "bpr", "weight_decays": 0.0, "optimizer": "sparse_adam"},
    ],
    # the lower half of Table 1 as the released code runs it, where the perceptron is linear, see protocol_pairs
    "released": [
        {"losses": loss, "backbone": "nonlinear-mf", **method, **PROTOCOLS["released"]}
        for loss, decay in (("ssm", 1e-6), ("directau", 1e-4))
        for method in ({"weight_decays": decay}, _PRISM)
    ],
    # not in the paper: would runs that its stopping rule ends early have improved later?
    "patience": [
        {"losses": "bpr", **_PRISM, **_WAIT},
        *({"losses": "ssm", **method, **_WAIT} for method in ({"weight_decays": 1e-4}, _PRISM)),
        # at every seed: on MovieLens1M a dip ends two of them
        {"losses": "ssm", "backbone": "nonlinear-mf", **_PRISM, **_WAIT, "seeds": SEEDS},
        {"losses": "directau", "backbone": "nonlinear-mf", **_PRISM, **_WAIT},
    ],
    # the released code's loader keeps all ratings of MovieLens 1M, see all_ratings_pairs
    "all-ratings": [
        {"losses": loss, **parameters, **method}
        for loss, parameters, decay in (("ssm", {}, 1e-4), ("directau", {"gamma": 0.5}, 1e-5))
        for method in ({"weight_decays": decay}, _PRISM)
    ],
    "law": _LAW,
    # of the same law: BPR below and above its critical decay, which is the dataset's own
    "collapse": [{"losses": "bpr", "weight_decays": COLLAPSE}],
    # each switch of the released code alone, after the same run as in the paper's text
    "switches": [
        {"weight_decays": 1e-6, **arguments, **fields}
        for arguments, switch in SWITCHES.values()
        for fields in ({}, switch)
    ],
}
_DEFAULTS = vars(RunConfig(dataset="synthetic", loss="bpr"))
#: The fields that the runs of these experiments change, with the values of the paper's protocol.
PROTOCOL_PAIRS: dict[str, dict[str, Any]] = {
    "speed": {"precision": "float32", "optimizer": "adam"},
    "patience": {"patience": 10},
    "released": {name: _DEFAULTS[name] for name in PROTOCOLS["released"]},
}
TABLE1 = {"backbone": ("mf", "nonlinear-mf"), "loss": tuple(LOSS_GRIDS), "method": ("decay", "prism")}
