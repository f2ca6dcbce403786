"""The monolith that the system replaces: one FastAPI that holds the pickle, one row a request.

Written as one writes it in an afternoon, and as fast as that gets: the row goes to the model as a
list (312 us), since a one-row DataFrame would take 853 us, and uvicorn keeps no access log. It
checks, records and explains nothing. A plain `def` is what FastAPI's documentation advises for a
call that blocks, and what the targets are measured against; `async def`, which saves the thread and
blocks the loop, is measured beside it.
"""

import joblib  # noqa: TID251 - the monolith loaded its pickle so, and the file is our own
from fastapi import FastAPI

from bench.subjects.original import PICKLE, Cliente, resposta

app = FastAPI()
modelo = joblib.load(PICKLE)


@app.get("/health")
def health() -> dict[str, str]:
    """Say that the model is loaded."""
    return {"status": "ok"}


@app.post("/avaliar")
def avaliar(cliente: Cliente) -> dict[str, str | int]:
    """Say which profile the client belongs to."""
    cluster = int(modelo.predict([cliente.linha()])[0])
    return resposta(cliente.name, cluster)


@app.post("/avaliar-sem-thread")
async def avaliar_sem_thread(cliente: Cliente) -> dict[str, str | int]:
    """Do the same on the event loop."""
    return avaliar(cliente)
