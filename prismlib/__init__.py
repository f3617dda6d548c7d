"""PRISM and angle-based losses for collaborative filtering.

The companion package of Loveland et al., "On the Role of Weight Decay in Collaborative Filtering:
A Popularity Perspective", KDD 2025.
"""

from prismlib.data import Dataset, Interactions, Split, dataset_from_pairs, random_split, synthetic
from prismlib.init import prism, prism_, prism_norm
from prismlib.losses import BPR, MAWU, SSM, DirectAU, RankingLoss, ScoreLoss
from prismlib.metrics import ndcg, popularity_groups
from prismlib.models import MF, Backbone, LightGCN, NonLinearMF
from prismlib.ranking import FullRanking
from prismlib.serving import Recommendations as Recommendations  # for those who serve a model: not in __all__
from prismlib.serving import recommend as recommend
from prismlib.train import History, fit, train_step

__version__ = "0.1.0"

#: What a newcomer needs. All else is imported from its module.
__all__ = [
    "BPR",
    "MAWU",
    "MF",
    "SSM",
    "Backbone",
    "Dataset",
    "DirectAU",
    "FullRanking",
    "History",
    "Interactions",
    "LightGCN",
    "NonLinearMF",
    "RankingLoss",
    "ScoreLoss",
    "Split",
    "dataset_from_pairs",
    "fit",
    "ndcg",
    "popularity_groups",
    "prism",
    "prism_",
    "prism_norm",
    "random_split",
    "synthetic",
    "train_step",
]
