"""The naive split, behind: the monolith's model in a FastAPI of its own, a row a request."""

import joblib  # noqa: TID251 - as in the monolith
from fastapi import FastAPI

from bench.subjects.original import PICKLE, Uso

app = FastAPI()
modelo = joblib.load(PICKLE)


@app.get("/health")
def health() -> dict[str, str]:
    """Say that the model is loaded."""
    return {"status": "ok"}


@app.post("/predict")
def predict(uso: Uso) -> dict[str, int]:
    """Predict the profile of one client."""
    return {"cluster": int(modelo.predict([uso.linha()])[0])}
