"""The routes of files: bytes in, how far one is and bytes out. What is in them a worker reads."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator
from starlette.exceptions import HTTPException

from evaluation_api.access.identity import Identity, identity_of, label_of
from evaluation_api.access.limits import AtOnce
from evaluation_api.client_files import answers
from evaluation_api.client_files.answers import Lote, Lotes
from evaluation_api.client_files.client_file import Answers, Awaited, ClientFile, Kind, State, Step
from evaluation_api.client_files.log import ClientFileLog
from evaluation_api.client_files.requests import RespostasBody, UploadQuery, answers_of
from evaluation_api.decision import errors
from evaluation_api.decision.domain import own_key
from evaluation_api.decision.limits import is_readable
from evaluation_api.record import chain
from evaluation_api.record.executor import RecordExecutor
from evaluation_api.record.journal import Journal
from evaluation_api.runtime.identity import new_id
from evaluation_api.web.api_route import ApiRoute
from evaluation_api.web.pages import FILES_AT_ONCE
from evaluation_api.web.problems import OF_A_BODY, Responses, described, header
from evaluation_api.web.requests import Keys, only_key, read_key
from evaluation_api.web.routes import NO_STORE, Asking, no_store

MAX_BYTES: Final = 200 * 2**20
_PART_BYTES: Final = 2**20
_LISTED: Final = 50
_LONGEST_NAME: Final = 255
#: Who sends a file is told how it was understood, unless it takes longer.
_CHECK_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.05

_NAMELESS: Final = "Dê um nome ao arquivo, de 1 a 255 caracteres legíveis."
#: Made-up clients, as spreadsheets in Brazil write them, so that it shows what amounts look like.
_TEMPLATE: Final = (
    "\ufeffnome;saldo_devedor;compras;saques;limite_de_credito;pagamentos\r\n"
    "Ana Exemplo;1035,00;5788,00;0,00;2700,00;5651,00\r\n"
    "Bruno Exemplo;1126,00;0,00;504,00;1200,00;599,00\r\n"
).encode()

_FILE: Final = {"type": "string", "format": "binary"}
_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "CSV, .xlsx ou .parquet, até 200 MB e 1.000.000 de linhas",
        "content": {"application/octet-stream": {"schema": _FILE}, "text/csv": {"schema": _FILE}},
    }
}
_CREATED: Final[Responses] = {
    HTTPStatus.CREATED: {"headers": {"Location": header("Onde o arquivo está")}}
}
_DOWNLOAD: Final[Responses] = {
    HTTPStatus.OK: {
        "description": "O arquivo",
        "headers": {"Content-Disposition": header("Nome do arquivo")},
    }
}
_ONE: Final = described(errors.ClientFileNotFoundError)
_STEP_CAUSES: Final = (
    errors.ClientFileNotFoundError,
    errors.ClientFileStateError,
    errors.IdempotencyKeyReusedError,
    errors.RecordUncertainError,
)
_STEP: Final = described(*_STEP_CAUSES)
_ANSWERED: Final = described(*OF_A_BODY, *_STEP_CAUSES)
_NOT_TAKEN: Final = (
    errors.ClientFileNotFoundError,
    errors.ClientFileErasedError,
    errors.ManyFilesError,
)

router = APIRouter(route_class=ApiRoute, tags=["lotes"])
_few_files: Final = partial(AtOnce, FILES_AT_ONCE, errors.ManyFilesError)


@dataclass(frozen=True, slots=True)
class Files:
    """What these routes need; app.py wires it."""

    log: ClientFileLog
    executor: RecordExecutor
    journal: Journal
    uploads: AtOnce = field(default_factory=_few_files)
    downloads: AtOnce = field(default_factory=_few_files)


async def _needed(request: Request) -> Files:
    files: Files = request.app.state.client_files
    return files


Needed = Annotated[Files, Depends(_needed)]


class CsvResponse(StreamingResponse):
    """A file that is CSV, read while it is sent."""

    media_type = "text/csv"


class SentResponse(StreamingResponse):
    """A file of any kind, likewise."""

    media_type = "application/octet-stream"


async def _upload_place(files: Needed) -> AsyncIterator[None]:
    with files.uploads.place():
        yield


async def _download_place(request: Request, files: Needed) -> AsyncIterator[None]:
    """Hold a place until the answer has gone. Raises HTTPException for who asks by HTTP/1.0.

    That knows no chunks, and would have their lengths among the lines.
    """
    if request.scope["http_version"] == "1.0":
        raise HTTPException(
            HTTPStatus.UPGRADE_REQUIRED,
            "O arquivo vai em partes, que HTTP/1.0 não conhece: peça por HTTP/1.1.",
            {"Upgrade": "HTTP/1.1", "Connection": "Upgrade"},
        )
    with files.downloads.place():
        yield


def _shown(files: Files, asking: Identity, found: ClientFile) -> Lote:
    """Return a file as callers see it; of another's clients nothing that is not noted.

    Where nobody has to say who they are, an entry would name nobody, as of a step.
    """
    told = answers.client_file(found)
    if asking.label not in {None, found.made_by} and answers.tells_of_clients(told):
        files.journal.note_hourly(asking, "file_read", file=found.id)
    return told


FileId = Annotated[str, Path(description="Código do arquivo"), AfterValidator(str.lower)]


@router.post(
    "/lotes",
    operation_id="enviar_lote",
    status_code=HTTPStatus.CREATED,
    responses=described(
        errors.FileTooLargeError,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        errors.ManyFilesError,
        errors.IdempotencyKeyInFlightError,
        errors.IdempotencyKeyReusedError,
        errors.RecordUncertainError,
    )
    | _CREATED,
    openapi_extra=_UPLOAD,
    dependencies=[Depends(_upload_place)],
)
async def receive(
    request: Request,
    response: Response,
    files: Needed,
    keys: Keys,
    query: Annotated[UploadQuery, Query()],
) -> Lote:
    """Recebe um arquivo de clientes, para avaliar quando for pedido.

    O arquivo é guardado como foi enviado e conferido logo depois: a resposta espera até 3 s por
    isso. Se vier ainda "conferindo", consulte GET /lotes/{file_id}.
    """
    name, key = _read_name(query.nome), only_key(keys)
    if int(request.headers.get("content-length") or 0) > MAX_BYTES:
        raise errors.FileTooLargeError
    file_id = await _receive(files, name, request, Answers(repeated=query.repetidas), key)
    files.journal.note(identity_of(request.scope), "file", file=file_id)
    response.headers["Location"] = f"/lotes/{file_id}"
    return answers.client_file(await _checked(files, file_id))


def _read_name(sent: str | None) -> str:
    name = ("clientes.csv" if sent is None else sent).strip()
    if not is_readable(name, _LONGEST_NAME):
        raise errors.InvalidRequestError([errors.FieldError("#/nome", _NAMELESS)])
    return name


async def _receive(
    files: Files, name: str, request: Request, chosen: Answers, key: str | None
) -> str:
    """Keep a file as it comes in, and return its id; what breaks off leaves nothing behind."""
    log, write = files.log, files.executor.run_write
    file_id, sha256 = new_id(), hashlib.sha256()
    made_by = label_of(request.scope)
    own = None if key is None else own_key(key, made_by)
    first = await write(log.open, file_id, name, chosen, key=own, made_by=made_by)
    try:
        number = 0
        async for part in _parts(request.stream()):
            sha256.update(part)
            if first is None:
                await write(log.store, file_id, number, part)
                number += 1
        asked = f"{name}\n{chosen.repeated}\n{sha256.hexdigest()}".encode()
        fingerprint = hashlib.sha256(asked).hexdigest()
        if first is not None:
            await files.executor.run_read(log.require_same, first, fingerprint)
            return first
        await write(log.complete, file_id, sha256.hexdigest(), fingerprint)
    except BaseException:
        if first is None:
            with suppress(errors.EvaluationError):  # the next upload tidies up what is left
                await asyncio.shield(write(log.discard, file_id))
        raise
    return file_id


async def _parts(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut a file into pieces of a megabyte. Raises FileTooLargeError."""
    size, held = 0, bytearray()
    async for chunk in chunks:
        size += len(chunk)
        if size > MAX_BYTES:
            raise errors.FileTooLargeError
        held += chunk
        while len(held) >= _PART_BYTES:
            yield bytes(held[:_PART_BYTES])
            del held[:_PART_BYTES]
    if held:
        yield bytes(held)


async def _checked(files: Files, file_id: str) -> ClientFile:
    """Return a file once it was looked at, or as it is when nobody does or it takes too long."""
    deadline = time.monotonic() + _CHECK_SECONDS
    while True:
        found = await files.executor.run_read(files.log.find, file_id)
        is_waited_for = found.state is State.CHECKING and found.awaits is not Awaited.WORKER
        if not is_waited_for or time.monotonic() > deadline:
            return found
        await asyncio.sleep(_LOOK_SECONDS)


@router.get(
    "/lotes", operation_id="listar_lotes", responses=described(), dependencies=[Depends(no_store)]
)
async def latest(files: Needed) -> Lotes:
    """Lista os arquivos mais recentes, do mais recente ao mais antigo."""
    found, workers = await files.executor.run_read(files.log.latest, _LISTED)
    return answers.listed(found, workers)


@router.get(
    "/lotes/modelo.csv",
    operation_id="baixar_exemplo",
    response_class=CsvResponse,
    responses=described() | _DOWNLOAD,
)
async def template() -> Response:
    """Fornece um arquivo de exemplo, com as colunas e dois clientes."""
    return Response(_TEMPLATE, headers=answers.attachment("modelo.csv"), media_type="text/csv")


@router.get(
    "/lotes/{file_id}",
    operation_id="mostrar_lote",
    responses=_ONE,
    dependencies=[Depends(no_store)],
)
async def find(files: Needed, file_id: FileId, asking: Asking) -> Lote:
    """Mostra um arquivo, como foi entendido, quanto foi avaliado e o resumo das decisões."""
    found = await files.executor.run_read(files.log.find, file_id)
    return _shown(files, asking, found)


@router.post("/lotes/{file_id}/respostas", operation_id="responder_lote", responses=_ANSWERED)
async def answer(
    files: Needed, file_id: FileId, sent: RespostasBody, keys: Keys, asking: Asking
) -> Lote:
    """Responde o que o arquivo não diz: colunas, decimais, clientes já avaliados.

    O arquivo é conferido de novo. As colunas e os decimais valem também para os próximos arquivos
    com os mesmos nomes de colunas. Quem responde não revisa os clientes desses arquivos como de
    outra pessoa.
    """
    chosen = answers_of(sent)
    key = read_key(keys, (file_id, sent.model_dump(mode="json")), asking.label)
    noted = chain.by_known(asking, "file_answer", file=file_id, **_chosen(chosen))
    await files.executor.run_write(files.log.answer, file_id, chosen, key, noted)
    return _shown(files, asking, await _checked(files, file_id))


def _chosen(answers: Answers) -> dict[str, Any]:
    """Return what the chain says of answers: of columns, whose names may tell of anybody, which."""
    chosen = {"decimals": answers.decimals, "repeated": answers.repeated}
    told = {name: value for name, value in chosen.items() if value is not None}
    return told | ({"columns": sorted(answers.columns)} if answers.columns else {})


def _add_download(name: str, kind: Kind, told: str) -> None:
    """Add the route by which a kind of pieces is taken. told: the route's description."""
    response = SentResponse if kind is Kind.SENT else CsvResponse
    causes = (*_NOT_TAKEN, errors.NoResultError) if kind is Kind.RESULT else _NOT_TAKEN

    async def take(request: Request, files: Needed, asking: Asking, file_id: FileId) -> Response:
        found = await files.executor.run_read(files.log.find, file_id)
        if found.is_erased:
            raise errors.ClientFileErasedError(file_id)  # no bytes would read as no lines
        has_none_done = kind is Kind.RESULT and not found.done
        # What the last release cancelled may have a piece all the same.
        if has_none_done and not await files.executor.run_read(files.log.part, file_id, kind, 0):
            raise errors.NoResultError(file_id)
        files.journal.note(asking, "export", file=file_id, part=kind)
        named = answers.attachment(_name_of(found.name, kind))
        is_read = request.method != "HEAD"
        pieces = _pieces(files, found.id, kind) if is_read else ()
        return response(pieces, headers=named | NO_STORE)

    take.__doc__ = told
    router.get(
        f"/lotes/{{file_id}}/{name}",
        operation_id=f"baixar_{name.removesuffix('.csv')}",
        response_class=response,
        responses=described(*causes) | _DOWNLOAD,
        dependencies=[Depends(_download_place)],
    )(take)


def _name_of(name: str, kind: Kind) -> str:
    """Return what a file is called when it is taken, by what it is called that was sent."""
    if kind is Kind.SENT:
        return name
    ending = "" if name.lower().endswith(".csv") else ".csv"
    return f"{'resultado' if kind is Kind.RESULT else 'erros'}-{name}{ending}"


async def _pieces(files: Files, file_id: str, kind: Kind) -> AsyncIterator[bytes]:
    number, read = 0, files.executor.run_read
    while (piece := await read(files.log.part, file_id, kind, number)) is not None:
        yield piece
        number += 1
    # Who is erased or purged meanwhile takes the rest along, and what went must not read as all.
    if number and await read(files.log.part, file_id, kind, 0) is None:
        raise errors.ClientFileErasedError(file_id)


_add_download(
    "resultado.csv",
    Kind.RESULT,
    "Devolve as linhas já avaliadas, na mesma ordem, com a decisão ou o erro de cada uma.",
)
_add_download(
    "erros.csv",
    Kind.FAULTS,
    "Devolve só as linhas com erro, para corrigir e enviar como outro arquivo.",
)
_add_download("enviado", Kind.SENT, "Devolve o arquivo como foi enviado.")


def _add_step(step: Step, told: str) -> None:
    """Add the route by which a person asks for a step. told: the route's description."""

    async def take(files: Needed, file_id: FileId, keys: Keys, asking: Asking) -> Lote:
        log, key = files.log, read_key(keys, (file_id, step), asking.label)
        noted = chain.by_known(asking, f"file_{step.name.lower()}", file=file_id)
        await files.executor.run_write(log.step, file_id, step, key, noted)
        return _shown(files, asking, await files.executor.run_read(log.find, file_id))

    take.__doc__ = told
    router.post(f"/lotes/{{file_id}}/{step}", operation_id=f"{step}_lote", responses=_STEP)(take)


_add_step(
    Step.START,
    """Começa a avaliar o arquivo, ou assim que for conferido e não houver perguntas.

    Quem começa não revisa os clientes dele como de outra pessoa, nem quem o enviou.
    """,
)
_add_step(Step.PAUSE, "Pausa; o que está feito permanece.")
_add_step(Step.RESUME, "Continua de onde parou.")
_add_step(Step.CANCEL, "Desiste do que falta; as decisões já tomadas permanecem.")
