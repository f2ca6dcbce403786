"""What an analyst writes: pandas, the pickle, a table and a file: analyst.py IN OUT DATABASE.

Without reasons, without a record that can be replayed; a cell that is no number ends it.
"""

# ruff: noqa: TID251 - run as it is, by an analyst who trusts this pickle

import sqlite3
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

PICKLE = Path(__file__).parents[2] / "model_store/modelo_cluster_cartao_credito.pkl"
AMOUNTS = ["saldo_devedor", "compras", "saques", "limite_de_credito", "pagamentos"]

source, target, database = sys.argv[1:]
model = joblib.load(PICKLE)
clients = pd.read_csv(source, sep=";", decimal=",")
clients["perfil"] = model.predict(clients[AMOUNTS].to_numpy())
use = clients.saldo_devedor / clients.limite_de_credito
paid = clients.pagamentos / clients.saldo_devedor
poor = (use >= 0.6) & (paid < 0.5)  # noqa: PLR2004 - the policy's
bad = clients.perfil.isin([0, 2])
clients["decisao"] = np.select(
    [bad & poor, bad | poor | (paid < 0.1)],  # noqa: PLR2004
    ["recusado", "analise_manual"],
    "aprovado",
)
with sqlite3.connect(database) as connection:
    clients.to_sql("decisoes", connection, index=False)
clients.to_csv(target, sep=";", decimal=",", index=False)
