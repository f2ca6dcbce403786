"""How much of a model is the sample's doing: labels of models that are trained on resamples.

Reads a trained model only; what it finds goes into the version's metadata and its card.
"""

import logging
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from model_store.features import PROFILE_COUNT

if TYPE_CHECKING:
    from model_store.training import TrainedModel

BOOTSTRAPS: Final = 10
#: Clients of each resample: more make it slower, and the answer no other.
SAMPLE: Final = 10_000
_STARTS: Final = 5

logger = logging.getLogger(__name__)


def of(model: "TrainedModel") -> dict[str, float]:
    """Return the least and the mean adjusted Rand index over bootstraps, and how many there were.

    Each compares the model's labels of its clients, SAMPLE at most, with those of a k-means trained
    on as many that were drawn from them with replacement (Hubert and Arabie 1985,
    doi:10.1007/BF01908075). 1 is the same labels, 0 is chance.
    """
    logger.info("training on %d resamples, to see how much is the sample's doing", BOOTSTRAPS)
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(model.rows))[:SAMPLE]
    scaled, labels = model.pipeline[:-1].transform(model.rows[chosen]), model.labels[chosen]
    found = []
    with threadpool_limits(limits=1):
        for seed in range(BOOTSTRAPS):
            again = KMeans(PROFILE_COUNT, n_init=_STARTS, random_state=seed)
            again.fit(scaled[rng.integers(0, len(scaled), len(scaled))])
            found.append(adjusted_rand_score(labels, again.predict(scaled)))
    mean, least = float(np.mean(found)), float(min(found))
    return {"bootstraps": float(BOOTSTRAPS), "least": round(least, 4), "mean": round(mean, 4)}
