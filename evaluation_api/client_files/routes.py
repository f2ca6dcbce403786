"""The routes of batches: from a request to the use case and back."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from evaluation_api.client_files import contract, writing
from evaluation_api.client_files.batches import MAX_BYTES, Batches
from evaluation_api.client_files.domain import Step
from evaluation_api.decision.errors import FileTooLargeError
from evaluation_api.web import openapi
from evaluation_api.web.routes import JSON, NO_STORE

_CSV: Final = "text/csv; charset=utf-8"
_LISTED: Final = 50

router = APIRouter()


def _batches(request: Request) -> Batches:
    batches: Batches = request.app.state.batches
    return batches


@router.post("/lotes", **openapi.upload("Lote"))
async def receive(request: Request) -> Response:
    """Recebe um arquivo CSV de clientes, para avaliar quando for pedido."""
    name = contract.read_name(request.query_params.get("nome"))
    if _announced_bytes(request) > MAX_BYTES:
        raise FileTooLargeError
    batch = await _batches(request).receive(name, request.stream())
    location = {"Location": f"/lotes/{batch.id}"}
    return Response(contract.batch(batch), HTTPStatus.CREATED, location, JSON)


def _announced_bytes(request: Request) -> int:
    """Give what Content-Length says, or 0; the server has checked that it is a number."""
    return int(request.headers.get("content-length") or 0)


@router.get("/lotes", **openapi.operation("Lotes"))
async def latest(request: Request) -> Response:
    """Lista os lotes mais novos, do mais novo para o mais antigo."""
    found = await _batches(request).latest(_LISTED)
    return Response(contract.listed(found), headers=NO_STORE, media_type=JSON)


@router.get("/lotes/modelo.csv", **openapi.file())
async def template() -> Response:
    """Dá um arquivo para começar, com as colunas e dois exemplos."""
    name = {"Content-Disposition": contract.attachment("modelo.csv")}
    return Response(writing.template(), headers=name, media_type=_CSV)


@router.get("/lotes/{batch_id}", **openapi.operation("Lote"))
async def find(request: Request, batch_id: str) -> Response:
    """Mostra um lote, quanto dele está feito e o resumo das decisões."""
    found = await _batches(request).find(batch_id)
    return Response(contract.batch(found), headers=NO_STORE, media_type=JSON)


@router.get("/lotes/{batch_id}/resultado.csv", **openapi.file())
async def result(request: Request, batch_id: str) -> Response:
    """Dá o arquivo de volta, na mesma ordem, com a decisão ou o erro de cada linha."""
    batches = _batches(request)
    batch = await batches.find(batch_id)
    name = {"Content-Disposition": contract.attachment(f"resultado-{batch.name}")}
    return StreamingResponse(batches.result(batch), headers=name | NO_STORE, media_type=_CSV)


@router.post("/lotes/{batch_id}/iniciar", **openapi.operation("Lote"))
async def start(request: Request, batch_id: str) -> Response:
    """Começa a avaliar o lote."""
    return await _stepped(request, batch_id, Step.START)


@router.post("/lotes/{batch_id}/pausar", **openapi.operation("Lote"))
async def pause(request: Request, batch_id: str) -> Response:
    """Pausa depois do pedaço em andamento; o que está feito permanece."""
    return await _stepped(request, batch_id, Step.PAUSE)


@router.post("/lotes/{batch_id}/retomar", **openapi.operation("Lote"))
async def resume(request: Request, batch_id: str) -> Response:
    """Continua de onde parou."""
    return await _stepped(request, batch_id, Step.RESUME)


@router.post("/lotes/{batch_id}/cancelar", **openapi.operation("Lote"))
async def cancel(request: Request, batch_id: str) -> Response:
    """Desiste do que falta; as decisões já tomadas permanecem."""
    return await _stepped(request, batch_id, Step.CANCEL)


async def _stepped(request: Request, batch_id: str, step: Step) -> Response:
    return Response(contract.batch(await _batches(request).step(batch_id, step)), media_type=JSON)
