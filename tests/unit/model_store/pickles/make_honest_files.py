r"""Makes honest_files.zip: models as people save them, by scikit-learn 1.2 to 1.9.

Run once for each version, in an environment that has it, pandas and joblib; the zip is committed:

    for v in 1.2.2 1.3.2 1.4.2 1.5.2 1.6.1 1.7.2 1.8.0 1.9.1; do
        uv run --no-project --with scikit-learn==$v --with 'pandas<3' --with joblib \
            python tests/unit/model_store/pickles/make_honest_files.py
    done

Each file stands beside the labels that its own version gave to ROWS, which tests make again.
"""

import io
import json
import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import sklearn
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

ARCHIVE = Path(__file__).with_name("honest_files.zip")
FEATURES = ["balance", "purchases", "cash_advance", "credit_limit", "payments"]
DIRECTIONS = np.array(
    [
        [0.80, 0.05, 0.05, 0.60, 0.05],
        [0.15, 0.05, 0.25, 0.40, 0.85],
        [0.25, 0.05, 0.70, 0.65, 0.10],
        [0.05, 0.05, 0.05, 0.98, 0.05],
        [0.10, 0.75, 0.05, 0.50, 0.40],
    ]
)


def rows(seed: int, count: int) -> NDArray[np.float64]:
    """Return clients around five directions: count x 5."""
    rng = np.random.default_rng(seed)
    near = DIRECTIONS[np.arange(count) % 5] + rng.normal(0, 0.03, (count, 5))
    amounts: NDArray[np.float64] = np.round(np.abs(near) * rng.uniform(500, 9000, (count, 1)), 2)
    return amounts


def kmeans() -> KMeans:
    """Return what most people fit."""
    return KMeans(5, n_init=2, random_state=0)


def saved(thing: object, compress: int | tuple[str, int] = 0) -> bytes:
    """Save with joblib."""
    file = io.BytesIO()
    joblib.dump(thing, file, compress=compress)
    return file.getvalue()


def honest() -> dict[str, tuple[bytes, list[int]]]:
    """Return files of this version by name, each with the labels that it gives to ROWS."""
    fitted_on, asked = rows(3, 40), rows(4, 25)
    frame = pd.DataFrame(fitted_on, columns=[name.upper() for name in FEATURES])
    turned = sorted(frame.columns)
    asked_frame = pd.DataFrame(asked, columns=frame.columns)

    sphere = make_pipeline(Normalizer(), kmeans()).fit(fitted_on)
    named = make_pipeline(StandardScaler(), kmeans()).fit(frame[turned])
    scaler = MinMaxScaler(copy=False)
    single = make_pipeline(scaler, MiniBatchKMeans(5, n_init=2, random_state=0, batch_size=64))
    single.fit(fitted_on.astype(np.float32))
    bundled = make_pipeline(RobustScaler(), kmeans()).fit(fitted_on[:, ::-1])
    preparation = Pipeline(
        [("none", "passthrough"), ("most", MaxAbsScaler()), ("l2", Normalizer())]
    )
    nested = Pipeline([("preparation", preparation), ("kmeans", kmeans())]).fit(fitted_on)
    mixture = make_pipeline(PowerTransformer(), GaussianMixture(5, random_state=0)).fit(frame)

    bundle = {"model": bundled, "features": FEATURES[::-1], "trained_on": "2024-01-31"}
    return {
        "l2.joblib": (saved(sphere), sphere.predict(asked).tolist()),
        "named.pkl": (pickle.dumps(named), named.predict(asked_frame[turned]).tolist()),
        "single.joblib.gz": (
            saved(single, compress=("gzip", 3)),
            single.predict(asked.astype(np.float32)).tolist(),
        ),
        "bundle.joblib.z": (saved(bundle, compress=3), bundled.predict(asked[:, ::-1]).tolist()),
        "nested.pkl": (pickle.dumps((nested,), protocol=2), nested.predict(asked).tolist()),
        "mixture.joblib": (saved(mixture), mixture.predict(asked_frame).tolist()),
    }


def main() -> None:
    """Add this version's files to the archive, in place of what it had of it."""
    version = sklearn.__version__
    kept: dict[str, bytes] = {}
    if ARCHIVE.exists():
        with zipfile.ZipFile(ARCHIVE) as archive:
            kept = {name: archive.read(name) for name in archive.namelist()}
    labels = json.loads(kept.pop("labels.json", b"{}"))
    for name, (content, answered) in honest().items():
        kept[f"{version}/{name}"], labels[f"{version}/{name}"] = content, answered
    kept["labels.json"] = json.dumps(labels, indent=1).encode()
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(kept):
            archive.writestr(zipfile.ZipInfo(name), kept[name], zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
