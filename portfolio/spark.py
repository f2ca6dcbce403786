"""The same decisions on Spark, for clients who already live on a cluster: Parquet to Parquet.

Policy and centroids travel once to each worker, and every row says which versions decided it. On
one machine `python -m portfolio score` is quicker: docs/scale.md.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as kinds

from evaluation_api.decision import policy_file
from evaluation_api.decision.domain import FEATURES
from evaluation_api.decision.errors import PolicyError
from model_store import publications
from model_store.errors import ModelStoreError
from portfolio import frames
from portfolio.profiler import StoredProfiler

#: Decided rows and faulty ones are apart, in folders of these names: situacao=decidido/.
SITUATION: Final = "situacao"
DECIDED: Final = "decidido"
FAULTY: Final = "com_erro"

_LOOPBACK: Final = "127.0.0.1"
_ADDED: Final = {
    "perfil": kinds.ByteType(),
    "certeza": kinds.DoubleType(),
    "uso": kinds.DoubleType(),
    "parte_paga": kinds.DoubleType(),
    "saques": kinds.DoubleType(),
    "decisao": kinds.StringType(),
    "motivos": kinds.StringType(),
    "fronteira": kinds.BooleanType(),
    "fora_da_faixa": kinds.BooleanType(),
    "modelo": kinds.StringType(),
    "politica": kinds.StringType(),
    SITUATION: kinds.StringType(),
}
#: As pandas keeps what a faulty row does not have.
_NULLABLE: Final = {
    **dict.fromkeys(("decisao", "motivos"), "string"),
    **dict.fromkeys(("fronteira", "fora_da_faixa"), "boolean"),
    "perfil": "Int8",
}


class RefusedClientsError(Exception):
    """Clients that are no clients to this policy or model; one sentence."""


def decide(clients: DataFrame, policy_text: str, profiler: StoredProfiler) -> DataFrame:
    """Decide clients: the five FEATURES as numbers, and whatever else travels along.

    Returns every row with what frames.evaluate says of it, null where nobody can have its amounts,
    with modelo, politica and SITUATION. Raises RefusedClientsError.
    """
    _require_columns(clients.columns)
    shared = clients.sparkSession.sparkContext.broadcast((policy_text, profiler))

    def decided(parts: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        text, placing = shared.value
        policy = policy_file.parse(text)
        for part in parts:
            amounts = part[list(FEATURES)].apply(pd.to_numeric, errors="coerce")
            good = frames.is_decidable(amounts)
            found = frames.evaluate(amounts[good], policy, placing)
            known = {name: kind for name, kind in _NULLABLE.items() if name in found}
            added = found.astype(known).reindex(index=part.index, columns=list(_ADDED))
            added["modelo"], added["politica"] = placing.model.tag, policy.version
            added[SITUATION] = np.where(good, DECIDED, FAULTY)
            yield part.join(added)

    fields = [kinds.StructField(name, kind) for name, kind in _ADDED.items()]
    return clients.mapInPandas(decided, kinds.StructType([*clients.schema.fields, *fields]))


def _require_columns(columns: list[str]) -> None:
    if missing := [feature for feature in FEATURES if feature not in columns]:
        raise RefusedClientsError(f"The clients have no column {', '.join(missing)}.")
    if taken := [name for name in columns if name in _ADDED]:
        raise RefusedClientsError(f"The clients have what is to be added: {', '.join(taken)}.")


def main(arguments: list[str] | None = None) -> int:
    """Decide a Parquet data set of clients into another; exit codes as python -m portfolio has."""
    parser = argparse.ArgumentParser("python -m portfolio.spark", description=__doc__)
    parser.add_argument("source", help="where the clients are, as Spark reads Parquet")
    parser.add_argument("target", help="where decisions go; there must be nothing yet")
    parser.add_argument("--policy", type=Path, default=policy_file.DEFAULT)
    parser.add_argument("--master", help="local[2,4] to try it here; else spark-submit says")
    chosen = parser.parse_args(arguments)
    try:
        _, text = policy_file.read(chosen.policy)
        profiler = StoredProfiler(publications.load(publications.choose()))
        with _session(chosen.master) as spark:
            decide(spark.read.parquet(chosen.source), text, profiler).write.partitionBy(
                SITUATION
            ).parquet(chosen.target)
            faulty = spark.read.parquet(chosen.target).where(f"{SITUATION} = '{FAULTY}'")
            return 1 if faulty.take(1) else 0
    except (PolicyError, ModelStoreError, RefusedClientsError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2


def _session(master: str | None) -> SparkSession:
    """Open Spark; on this machine alone nobody else can reach it."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("client portfolio")
    if master is not None and master.startswith("local"):
        builder = builder.config("spark.driver.host", _LOOPBACK).config("spark.ui.enabled", "false")
        builder = builder.config("spark.driver.bindAddress", _LOOPBACK)
    return (builder if master is None else builder.master(master)).getOrCreate()


if __name__ == "__main__":
    sys.exit(main())
