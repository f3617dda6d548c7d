"""PRISM and angle-based losses for collaborative filtering.

The companion package of Loveland et al., "On the Role of Weight Decay in Collaborative Filtering:
A Popularity Perspective", KDD 2025.
"""

from prismlib.data import Dataset, Interactions, Split, dataset_from_pairs, random_split, synthetic
from prismlib.hypersphere import alignment, margin_alignment, uniformity, uniformity_released
from prismlib.init import prism, prism_, prism_norm
from prismlib.losses import BPR, MAWU, SSM, DirectAU, RankingLoss, bpr_loss, directau_loss, mawu_loss, ssm_loss
from prismlib.metrics import GROUPS, ndcg, popularity_groups
from prismlib.models import MF, Backbone, LightGCN, NonLinearMF
from prismlib.norms import norm_summary
from prismlib.ranking import FullRanking
from prismlib.serving import Recommendations, recommend
from prismlib.train import History, fit, train_step

__version__ = "0.1.0"

__all__ = [
    "BPR",
    "GROUPS",
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
    "Recommendations",
    "Split",
    "alignment",
    "bpr_loss",
    "dataset_from_pairs",
    "directau_loss",
    "fit",
    "margin_alignment",
    "mawu_loss",
    "ndcg",
    "norm_summary",
    "popularity_groups",
    "prism",
    "prism_",
    "prism_norm",
    "random_split",
    "recommend",
    "ssm_loss",
    "synthetic",
    "train_step",
    "uniformity",
    "uniformity_released",
]
