"""A client that is generated from the committed description, against the real service."""

import importlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import client_files
from tests.clients import MARIA
from tests.services import PROJECT, Server, eventually

DOCUMENT = PROJECT / "docs/openapi.json"
PACKAGE = "evaluation_client"


def generated_module(path: str) -> Any:  # noqa: ANN401 - code that is there only now
    return importlib.import_module(f"{PACKAGE}.{path}")


class Generated:
    """What openapi-python-client wrote, in front of a service."""

    def __init__(self, client: object) -> None:
        self._client = client

    def ask(self, operation: str, *path: str, **sent: object) -> Any:  # noqa: ANN401 - its own
        """Call one operation, of subject.name; return the answer with its status and headers."""
        endpoint = generated_module(f"api.{operation}")
        return endpoint.sync_detailed(*path, client=self._client, **sent)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Generate the package in a folder that Python looks into."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "config.yml").write_text("post_hooks: []\n")
    made = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--path", str(DOCUMENT)),
            *("--output-path", PACKAGE, "--meta", "none", "--config", "config.yml"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


@pytest.fixture
def generated(folder: Path, evaluation_service: Server) -> Iterator[Generated]:
    assert folder.is_dir()
    with generated_module("client").Client(base_url=evaluation_service.url) as client:
        yield Generated(client)


def test_every_operation_is_generated(folder: Path) -> None:
    operations = {
        (described["tags"][0], described["operationId"])
        for methods in json.loads(DOCUMENT.read_text(encoding="utf-8"))["paths"].values()
        for described in methods.values()
    }

    written = {(file.parent.name, file.stem) for file in folder.glob(f"{PACKAGE}/api/*/*.py")}
    assert operations <= written


def test_a_client_is_evaluated_once_for_a_key_and_reviewed(generated: Generated) -> None:
    models = generated_module("models")
    body = models.ApplicantBody.from_dict(MARIA)

    first = generated.ask("avaliacoes.avaliar", body=body, idempotency_key="gerado-1")
    again = generated.ask("avaliacoes.avaliar", body=body, idempotency_key="gerado-1")
    review = models.ReviewBody(models.Outcome.RECUSADO, "Renda não comprovada.", "Ana")
    reviewed = generated.ask("avaliacoes.revisar_avaliacao", first.parsed.id, body=review)
    listed = generated.ask("avaliacoes.listar_avaliacoes", nome="Maria", limite=1)

    assert (first.parsed.cluster, again.parsed.id) == (4, first.parsed.id)
    assert (reviewed.status_code, reviewed.parsed.decisao) == (201, models.Outcome.RECUSADO)
    assert listed.parsed.itens[0].nome == "Maria"


def test_a_refusal_is_a_problem_that_names_the_field(generated: Generated) -> None:
    body = generated_module("models").ApplicantBody.from_dict({**MARIA, "balance": -1})

    refusal = generated.ask("avaliacoes.avaliar", body=body)

    assert (refusal.status_code, refusal.parsed.erros[0].pointer) == (422, "#/balance")


@pytest.mark.usefixtures("worker")
def test_a_file_is_sent_evaluated_and_fetched(generated: Generated) -> None:
    content = generated_module("types").File(io.BytesIO(client_files.clients(3)))

    repeated = generated_module("models").Repeated.TODAS
    sent = generated.ask("lotes.enviar_lote", body=content, nome="gerado.csv", repetidas=repeated)
    batch = sent.parsed.id
    assert sent.headers["location"] == f"/lotes/{batch}"
    generated.ask("lotes.iniciar_lote", batch)
    eventually(lambda: generated.ask("lotes.mostrar_lote", batch).parsed.decididas == 3, 20)
    assert generated.ask("lotes.baixar_resultado", batch).parsed.count("Cliente") == 3
