"""The monolith that the system replaces: one FastAPI that holds the pickle, one row a request.

Written as one writes it in an afternoon, and as fast as that gets: the row goes to the model as a
list (312 us), since a one-row DataFrame would take 853 us, and uvicorn keeps no access log. It
checks, records and explains nothing. A plain `def` is what FastAPI's documentation advises for a
call that blocks; `async def`, which saves the thread and blocks the loop, is the stronger of the
two. `/predict` is what the naive split asks when it runs this behind its front.
"""

import joblib  # noqa: TID251 - the monolith loaded its pickle so, and the file is our own
from fastapi import FastAPI

from bench.subjects.original import PICKLE, Cliente, Uso, resposta

app = FastAPI()
modelo = joblib.load(PICKLE)


@app.post("/predict")
def predict(uso: Uso) -> dict[str, int]:
    """Predict the profile of one client."""
    return {"cluster": int(modelo.predict([uso.linha()])[0])}


@app.post("/avaliar")
def avaliar(cliente: Cliente) -> dict[str, str | int]:
    """Say which profile the client belongs to."""
    return resposta(cliente.name, predict(cliente)["cluster"])


@app.post("/avaliar-sem-thread")
async def avaliar_sem_thread(cliente: Cliente) -> dict[str, str | int]:
    """Do the same on the event loop."""
    return avaliar(cliente)
