"""Which way a measure is better, by its name. Pure.

A wrong colour misleads more than none: what is not known is not judged.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal

Better = Literal["up", "down", ""]

_LESS = """
loss error errors err latency duration seconds ms mse rmse mae mape smape msle rmsle wer cer mer
ter eer ece fid perplexity ppl brier logloss crossentropy xent nll deviance cost regret drift
divergence fpr fnr fp fn miss misses falsepositive falsepositives falsenegative falsenegatives
"""
_MORE = """
accuracy acc precision recall f1 f2 fscore f1score fbeta auc auroc auprc ap map mrr ndcg iou miou
dice jaccard bleu rouge meteor r2 score tpr tnr sensitivity specificity kappa mcc gini throughput
psnr ssim reward likelihood
"""
_DOWN, _UP = frozenset(_LESS.split()), frozenset(_MORE.split())
_COUNTED = frozenset(("falsenegative", "falsenegatives"))
_NEGATED = frozenset(("neg", "negative", "minus", "negated"))
_WORD = re.compile("[A-Z]?[a-z0-9]+|[A-Z]+[0-9]*(?![a-z])")


def better(measure: str) -> Better:
    """`up`: more is better, as of precision; `down`: less is, as of a loss; empty: who knows.

    What is bad counts first, as it is what is counted: an `accuracy_loss` is a loss.
    """
    found = [word.lower() for word in _WORD.findall(measure)]
    said = {*found, *(a + b for a, b in pairwise(found))}
    if said & _NEGATED and not said & _COUNTED:
        return ""
    return "down" if said & _DOWN else "up" if said & _UP else ""


def judged(measure: str, delta: float | None) -> Literal["ok", "bad", ""]:
    """The class of a change of this measure."""
    way = better(measure)
    if not way or not delta:
        return ""
    return "ok" if (delta > 0) == (way == "up") else "bad"
