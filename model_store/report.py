"""How good a trained model is: figures to print, and a plot for docs/.

Reads a trained model only. matplotlib is a developer's dependency, asked for when a plot is drawn.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sklearn import config_context
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score

from model_store.features import FEATURES
from model_store.profiles import MEANINGS, RULE, rule_margins

if TYPE_CHECKING:
    from model_store.training import TrainedModel

PLOT_NAME: Final = "model-report.svg"
SAMPLE: Final = 10_000
#: Of distances at once; scikit-learn would take a gigabyte.
_WORKING_MEGABYTES: Final = 64

logger = logging.getLogger(__name__)


def scores(model: "TrainedModel") -> dict[str, float]:
    """Return the three internal indices, all on the scaled rows that k-means saw.

    The silhouette compares everybody with everybody: of more clients than SAMPLE, with a sample.
    """
    logger.info("scoring")
    scaled = model.pipeline[:-1].transform(model.rows)
    sample = SAMPLE if len(scaled) > SAMPLE else None
    with config_context(working_memory=_WORKING_MEGABYTES):
        silhouette = silhouette_score(scaled, model.labels, sample_size=sample, random_state=0)
    return {
        "silhouette": float(silhouette),
        "Davies-Bouldin": float(davies_bouldin_score(scaled, model.labels)),
        "Calinski-Harabasz": float(calinski_harabasz_score(scaled, model.labels)),
    }


def text(model: "TrainedModel", found: Mapping[str, float]) -> str:
    """Return the report as lines of text: scores, then size, centroid and meaning per label."""
    lines = [f"{name:<18} {value:10.3f}" for name, value in found.items()]
    lines += [
        "",
        "label  clients  " + "  ".join(f"{f:>12}" for f in FEATURES) + "  margin  meaning",
    ]
    margins = rule_margins(model.centroids)
    for label, meaning in enumerate(MEANINGS):
        centroid = "  ".join(f"{v:12.3f}" for v in model.centroids[label])
        margin = f"{margins[label]:6.3f}" if label in margins else "     -"
        lines.append(f"{label:>5}  {model.sizes[label]:>7}  {centroid}  {margin}  {meaning}")
    return "\n".join(lines)


def draw(model: "TrainedModel", folder: Path) -> Path:
    """Write the plot; return its path. The same model gives the same bytes."""
    import matplotlib as mpl  # noqa: PLC0415 - needed for this alone
    from matplotlib.figure import Figure  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PLOT_NAME
    style = {"svg.hashsalt": "model-report", "font.family": "DejaVu Sans", "font.size": 10}
    with mpl.rc_context(style):  # type: ignore[arg-type]  # matplotlib lists every key
        figure = Figure(figsize=(11, 4.6), layout="constrained")
        sizes, centroids = figure.subplots(1, 2, width_ratios=[2, 3], sharey=True)
        _draw_sizes(sizes, model)
        _draw_centroids(centroids, model)
        figure.suptitle(_headline(model), fontsize=12, fontweight="bold")
        figure.savefig(path, format=path.suffix[1:], metadata={"Date": None})
    return path


def _headline(model: "TrainedModel") -> str:
    figures = ", ".join(f"{name} {value:,.3f}" for name, value in scores(model).items())
    return f"Five profiles of {len(model.rows):,} clients\n{figures}"


def _draw_sizes(axes: Any, model: "TrainedModel") -> None:  # noqa: ANN401 - matplotlib's Axes
    bars = axes.barh(range(len(MEANINGS)), model.sizes, color="#3b6ea5", height=0.62)
    shares = [f"{size:,} ({size / sum(model.sizes):.0%})" for size in model.sizes]
    axes.bar_label(bars, shares, padding=4)
    axes.set_yticks(range(len(MEANINGS)), [_wrapped(k, m) for k, m in enumerate(MEANINGS)])
    axes.set(title="Clients per profile", xlim=(0, max(model.sizes) * 1.35), xticks=[])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _draw_centroids(axes: Any, model: "TrainedModel") -> None:  # noqa: ANN401 - matplotlib's Axes
    from matplotlib.patches import Rectangle  # noqa: PLC0415 - needed for this alone

    axes.imshow(model.centroids, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in _cells(model):
        ink = "white" if value > 0.55 else "#1a1a1a"  # noqa: PLR2004 - where Blues turn dark
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=ink)
    axes.set_xticks(range(len(FEATURES)), [name.replace("_", " ") for name in FEATURES])
    for label, feature in RULE:
        corner = (FEATURES.index(feature) - 0.47, label - 0.47)
        axes.add_patch(Rectangle(corner, 0.94, 0.94, fill=False, edgecolor="#d95f02", linewidth=2))
    axes.set_title("Centroids after L2 scaling (framed: what names the profile)")
    axes.tick_params(left=False, bottom=False)
    axes.spines[:].set_visible(False)


def _cells(model: "TrainedModel") -> list[tuple[tuple[int, int], float]]:
    return [
        ((row, column), float(value))
        for row, centroid in enumerate(model.centroids)
        for column, value in enumerate(centroid)
    ]


def _wrapped(label: int, meaning: str) -> str:
    first, _, rest = meaning.partition(", ")
    return f"{label}  {first}" + (f",\n{rest}" if rest else "")
