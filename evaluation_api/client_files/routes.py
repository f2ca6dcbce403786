"""The routes of batches: from a request to the use case and back."""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from evaluation_api.client_files import contract, writing
from evaluation_api.client_files.batches import MAX_BYTES, Batches
from evaluation_api.client_files.contract import Lote, Lotes
from evaluation_api.client_files.domain import Step
from evaluation_api.decision.errors import (
    BatchNotFoundError,
    BatchStateError,
    FileTooLargeError,
    RecordUnavailableError,
)
from evaluation_api.web.api_route import ApiRoute
from evaluation_api.web.problems import Responses, described
from evaluation_api.web.routes import NO_STORE, no_store

_LISTED: Final = 50

_FILE: Final = {"type": "string", "format": "binary"}
_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "CSV em UTF-8 ou Latin-1, com vírgula ou ponto e vírgula",
        "content": {"application/octet-stream": {"schema": _FILE}, "text/csv": {"schema": _FILE}},
    }
}
_CREATED: Final[Responses] = {
    HTTPStatus.CREATED: {
        "headers": {"Location": {"description": "Onde o lote está", "schema": {"type": "string"}}}
    }
}
_DOWNLOAD: Final[Responses] = {
    HTTPStatus.OK: {
        "description": "O arquivo, em UTF-8",
        "headers": {
            "Content-Disposition": {"description": "Nome do arquivo", "schema": {"type": "string"}}
        },
    }
}
_ONE: Final = described(BatchNotFoundError, RecordUnavailableError)
_STEP: Final = described(BatchNotFoundError, BatchStateError, RecordUnavailableError)

router = APIRouter(route_class=ApiRoute, tags=["lotes"])


class CsvResponse(StreamingResponse):
    """A file, written while it is sent."""

    media_type = "text/csv"


async def _batches(request: Request) -> Batches:
    batches: Batches = request.app.state.batches
    return batches


Needed = Annotated[Batches, Depends(_batches)]
BatchId = Annotated[str, Path(description="Código do lote")]


@router.post(
    "/lotes",
    operation_id="enviar_lote",
    status_code=HTTPStatus.CREATED,
    responses=described(FileTooLargeError, RecordUnavailableError) | _CREATED,
    openapi_extra=_UPLOAD,
)
async def receive(
    request: Request,
    response: Response,
    batches: Needed,
    nome: Annotated[str | None, Query(description="Nome do arquivo")] = None,
) -> Lote:
    """Recebe um arquivo CSV de clientes, para avaliar quando for pedido."""
    name = contract.read_name(nome)
    if _announced_bytes(request) > MAX_BYTES:
        raise FileTooLargeError
    batch = await batches.receive(name, request.stream())
    response.headers["Location"] = f"/lotes/{batch.id}"
    return contract.batch(batch)


def _announced_bytes(request: Request) -> int:
    """Return what Content-Length says, or 0; the server has checked that it is a number."""
    return int(request.headers.get("content-length") or 0)


@router.get(
    "/lotes",
    operation_id="listar_lotes",
    responses=described(RecordUnavailableError),
    dependencies=[Depends(no_store)],
)
async def latest(batches: Needed) -> Lotes:
    """Lista os lotes mais novos, do mais novo para o mais antigo."""
    return contract.listed(await batches.latest(_LISTED))


@router.get(
    "/lotes/modelo.csv",
    operation_id="baixar_exemplo",
    response_class=CsvResponse,
    responses=described() | _DOWNLOAD,
)
async def template() -> Response:
    """Dá um arquivo para começar, com as colunas e dois exemplos."""
    name = {"Content-Disposition": contract.attachment("modelo.csv")}
    return Response(writing.template(), headers=name, media_type=CsvResponse.media_type)


@router.get(
    "/lotes/{batch_id}",
    operation_id="mostrar_lote",
    responses=_ONE,
    dependencies=[Depends(no_store)],
)
async def find(batches: Needed, batch_id: BatchId) -> Lote:
    """Mostra um lote, quanto dele está feito e o resumo das decisões."""
    return contract.batch(await batches.find(batch_id))


@router.get(
    "/lotes/{batch_id}/resultado.csv",
    operation_id="baixar_resultado",
    response_class=CsvResponse,
    responses=_ONE | _DOWNLOAD,
)
async def result(batches: Needed, batch_id: BatchId) -> Response:
    """Dá o arquivo de volta, na mesma ordem, com a decisão ou o erro de cada linha."""
    batch = await batches.find(batch_id)
    name = {"Content-Disposition": contract.attachment(f"resultado-{batch.name}")}
    return CsvResponse(batches.result(batch), headers=name | NO_STORE)


@router.post("/lotes/{batch_id}/iniciar", operation_id="iniciar_lote", responses=_STEP)
async def start(batches: Needed, batch_id: BatchId) -> Lote:
    """Começa a avaliar o lote."""
    return contract.batch(await batches.step(batch_id, Step.START))


@router.post("/lotes/{batch_id}/pausar", operation_id="pausar_lote", responses=_STEP)
async def pause(batches: Needed, batch_id: BatchId) -> Lote:
    """Pausa depois do pedaço em andamento; o que está feito permanece."""
    return contract.batch(await batches.step(batch_id, Step.PAUSE))


@router.post("/lotes/{batch_id}/retomar", operation_id="retomar_lote", responses=_STEP)
async def resume(batches: Needed, batch_id: BatchId) -> Lote:
    """Continua de onde parou."""
    return contract.batch(await batches.step(batch_id, Step.RESUME))


@router.post("/lotes/{batch_id}/cancelar", operation_id="cancelar_lote", responses=_STEP)
async def cancel(batches: Needed, batch_id: BatchId) -> Lote:
    """Desiste do que falta; as decisões já tomadas permanecem."""
    return contract.batch(await batches.step(batch_id, Step.CANCEL))
