"""The routes of files: from a request to the use case and back."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator
from starlette.types import Receive, Scope, Send

from evaluation_api.client_files import contract, writing
from evaluation_api.client_files.contract import Lote, Lotes
from evaluation_api.client_files.domain import Step
from evaluation_api.client_files.files import MAX_BYTES, ClientFiles
from evaluation_api.decision.errors import (
    ClientFileNotFoundError,
    ClientFileStateError,
    FileTooLargeError,
    IdempotencyKeyInFlightError,
    IdempotencyKeyReusedError,
    ManyFilesError,
)
from evaluation_api.web.api_route import ApiRoute
from evaluation_api.web.problems import Responses, described
from evaluation_api.web.requests import Keys, only_key, read_key
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
        "headers": {
            "Location": {"description": "Onde o arquivo está", "schema": {"type": "string"}}
        }
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
_ONE: Final = described(ClientFileNotFoundError)
_STEP: Final = described(ClientFileNotFoundError, ClientFileStateError, IdempotencyKeyReusedError)

router = APIRouter(route_class=ApiRoute, tags=["lotes"])


class CsvResponse(StreamingResponse):
    """A file, written while it is sent."""

    media_type = "text/csv"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; to HEAD, its headers alone: it would be written for nobody."""
        if scope["method"] == "HEAD":
            self.body_iterator = _nothing()
        await super().__call__(scope, receive, send)


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


async def _client_files(request: Request) -> ClientFiles:
    client_files: ClientFiles = request.app.state.client_files
    return client_files


Needed = Annotated[ClientFiles, Depends(_client_files)]


async def _upload_place(client_files: Needed) -> AsyncIterator[None]:
    with client_files.uploads.place():
        yield


async def _download_place(client_files: Needed) -> AsyncIterator[None]:
    """Hold a place until the answer has gone."""
    with client_files.downloads.place():
        yield


FileId = Annotated[str, Path(description="Código do arquivo"), AfterValidator(str.lower)]


@router.post(
    "/lotes",
    operation_id="enviar_lote",
    status_code=HTTPStatus.CREATED,
    responses=described(
        FileTooLargeError, ManyFilesError, IdempotencyKeyInFlightError, IdempotencyKeyReusedError
    )
    | _CREATED,
    openapi_extra=_UPLOAD,
    dependencies=[Depends(_upload_place)],
)
async def receive(
    request: Request,
    response: Response,
    client_files: Needed,
    keys: Keys,
    nome: Annotated[str | None, Query(description="Nome do arquivo")] = None,
) -> Lote:
    """Recebe um arquivo CSV de clientes, para avaliar quando for pedido."""
    name = contract.read_name(nome)
    key = only_key(keys)
    if _announced_bytes(request) > MAX_BYTES:
        raise FileTooLargeError
    client_file = await client_files.receive(name, request.stream(), key)
    response.headers["Location"] = f"/lotes/{client_file.id}"
    return contract.client_file(client_file)


def _announced_bytes(request: Request) -> int:
    """Return what Content-Length says, or 0; the server has checked that it is a number."""
    return int(request.headers.get("content-length") or 0)


@router.get(
    "/lotes",
    operation_id="listar_lotes",
    responses=described(),
    dependencies=[Depends(no_store)],
)
async def latest(client_files: Needed) -> Lotes:
    """Lista os arquivos mais recentes, do mais recente ao mais antigo."""
    return contract.listed(await client_files.latest(_LISTED))


@router.get(
    "/lotes/modelo.csv",
    operation_id="baixar_exemplo",
    response_class=CsvResponse,
    responses=described() | _DOWNLOAD,
)
async def template() -> Response:
    """Fornece um arquivo de exemplo, com as colunas e dois clientes."""
    name = {"Content-Disposition": contract.attachment("modelo.csv")}
    return Response(writing.template(), headers=name, media_type=CsvResponse.media_type)


@router.get(
    "/lotes/{file_id}",
    operation_id="mostrar_lote",
    responses=_ONE,
    dependencies=[Depends(no_store)],
)
async def find(client_files: Needed, file_id: FileId) -> Lote:
    """Mostra um arquivo, quanto dele foi avaliado e o resumo das decisões."""
    return contract.client_file(await client_files.find(file_id), client_files.awaits)


@router.get(
    "/lotes/{file_id}/resultado.csv",
    operation_id="baixar_resultado",
    response_class=CsvResponse,
    responses=described(ClientFileNotFoundError, ManyFilesError) | _DOWNLOAD,
    dependencies=[Depends(_download_place)],
)
async def result(client_files: Needed, file_id: FileId) -> Response:
    """Devolve o arquivo, na mesma ordem, com a decisão ou o erro de cada linha."""
    client_file = await client_files.find(file_id)
    name = {"Content-Disposition": contract.attachment(f"resultado-{client_file.name}")}
    return CsvResponse(client_files.result(client_file), headers=name | NO_STORE)


@router.post("/lotes/{file_id}/iniciar", operation_id="iniciar_lote", responses=_STEP)
async def start(client_files: Needed, file_id: FileId, keys: Keys) -> Lote:
    """Começa a avaliar o arquivo."""
    return await _step(client_files, file_id, Step.START, keys)


@router.post("/lotes/{file_id}/pausar", operation_id="pausar_lote", responses=_STEP)
async def pause(client_files: Needed, file_id: FileId, keys: Keys) -> Lote:
    """Pausa depois do bloco em andamento; o que está feito permanece."""
    return await _step(client_files, file_id, Step.PAUSE, keys)


@router.post("/lotes/{file_id}/retomar", operation_id="retomar_lote", responses=_STEP)
async def resume(client_files: Needed, file_id: FileId, keys: Keys) -> Lote:
    """Continua de onde parou."""
    return await _step(client_files, file_id, Step.RESUME, keys)


@router.post("/lotes/{file_id}/cancelar", operation_id="cancelar_lote", responses=_STEP)
async def cancel(client_files: Needed, file_id: FileId, keys: Keys) -> Lote:
    """Desiste do que falta; as decisões já tomadas permanecem."""
    return await _step(client_files, file_id, Step.CANCEL, keys)


async def _step(client_files: ClientFiles, file_id: str, step: Step, keys: Keys) -> Lote:
    key = read_key(keys, (file_id, step))
    return contract.client_file(await client_files.step(file_id, step, key))
