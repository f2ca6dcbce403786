"""Predictions as the record keeps them where no answer was spelled: a tenth of its size.

The cluster, the confidence and the model have columns of their own.
"""

import msgspec

from evaluation_api.decision.domain import FEATURES, Counterfactual, Model, Prediction

_encode = msgspec.json.Encoder().encode
#: runner_up, contributions in the order of FEATURES, counterfactuals.
_decode = msgspec.json.Decoder(
    tuple[
        int | None,
        tuple[float, float, float, float, float] | None,
        list[tuple[str, float, int, float]],
    ]
).decode


def pack(prediction: Prediction) -> str:
    """Spell what the columns do not hold."""
    told = prediction.contributions
    contributions = None if told is None else [told[feature] for feature in FEATURES]
    counterfactuals = [
        (change.feature, change.amount, change.cluster, change.confidence)
        for change in prediction.counterfactuals
    ]
    return _encode((prediction.runner_up, contributions, counterfactuals)).decode()


def unpack(text: str, cluster: int, confidence: float | None, model: Model) -> Prediction:
    """Read a prediction back, as it was."""
    runner_up, told, counterfactuals = _decode(text)
    contributions = None if told is None else dict(zip(FEATURES, told, strict=True))
    return Prediction(
        cluster,
        model,
        runner_up,
        confidence,
        contributions,
        tuple(Counterfactual(*change) for change in counterfactuals),
    )
