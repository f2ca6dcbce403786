"""Describes the contract for the interactive page, out of the types that are the contract.

Requests are pydantic's and answers msgspec's; both can say their JSON schema.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response

from evaluation_api.web import answers, requests
from evaluation_api.web.problems import MEDIA_TYPE, Problema

#: By the first part of the path.
_SUBJECTS: Final = {
    "avaliar": "Avaliações",
    "avaliacoes": "Avaliações",
    "lotes": "Lotes",
    "politica": "Critérios",
    "modelo": "Critérios",
}
_REFERENCE: Final = "#/components/schemas/{name}"
_ANSWERS: Final = (
    answers.Avaliacao,
    answers.Modelo,
    answers.Pagina,
    answers.Pendente,
    answers.Politica,
    answers.Registro,
    answers.Revisao,
    answers.Saude,
    answers.Vida,
    Problema,
)
_BODIES: Final = (requests.ApplicantBody, requests.ReviewBody)

PROBLEM: Final = {
    "description": "Problema (RFC 9457)",
    "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(name="Problema")}}},
}
_WAITING_HEADERS: Final = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A mesma chave com o mesmo corpo recebe sempre a mesma resposta",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    {
        "name": "Prefer",
        "in": "header",
        "description": "respond-async: se o modelo estiver fora, aceita o pedido e avalia depois",
        "schema": {"type": "string", "examples": ["respond-async"]},
    },
]


def operation(
    answer: str,
    *,
    body: str | None = None,
    query: bool = False,
    status: HTTPStatus = HTTPStatus.OK,
) -> dict[str, Any]:
    """Give the arguments that describe a route: names of the types it takes and gives."""
    responses: dict[int | str, Any] = {int(status): _json("OK", answer), "default": PROBLEM}
    extra: dict[str, Any] = {"parameters": _query_parameters() if query else []}
    if body is not None:
        extra["requestBody"] = {"required": True, **_json(body, body)}
    return {"responses": responses, "openapi_extra": extra, "status_code": int(status)}


def upload(answer: str) -> dict[str, Any]:
    """Give the arguments that describe a route which takes a CSV file."""
    text = {"type": "string", "description": "UTF-8 ou Latin-1; vírgula ou ponto e vírgula"}
    name = {"name": "nome", "in": "query", "required": False, "schema": {"type": "string"}}
    described = operation(answer, status=HTTPStatus.CREATED)
    described["openapi_extra"] = {
        "parameters": [name],
        "requestBody": {"required": True, "content": {"text/csv": {"schema": text}}},
    }
    return described


def file() -> dict[str, Any]:
    """Give the arguments that describe a route which gives a CSV file."""
    content = {"text/csv": {"schema": {"type": "string"}}}
    responses: dict[int | str, Any] = {
        200: {"description": "OK", "content": content},
        "default": PROBLEM,
    }
    return {"responses": responses, "response_class": Response}


def install(app: FastAPI, more_answers: Iterable[type[msgspec.Struct]] = ()) -> None:
    """Have an application describe itself with these types, and those of other routers."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            schema.setdefault("components", {})["schemas"] = _schemas(more_answers)
            schema["paths"] = {"/avaliar": {"post": _EVALUATE}, **schema["paths"]}
            _group(schema["paths"])
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way


def _group(paths: dict[str, dict[str, Any]]) -> None:
    """Head each operation with its first sentence, under its subject."""
    for path, operations in paths.items():
        for described in operations.values():
            described["summary"] = described["description"].split(".")[0]
            described["tags"] = [_SUBJECTS.get(path.split("/")[1], "Serviço")]


def _schemas(more_answers: Iterable[type[msgspec.Struct]]) -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components((*_ANSWERS, *more_answers), ref_template=_REFERENCE)
    # The answer stands in the record as raw JSON, of which msgspec can only say "anything".
    reference = {"$ref": _REFERENCE.format(name="Avaliacao")}
    schemas["Registro"]["properties"]["avaliacao"] = {"oneOf": [reference, {"type": "null"}]}
    for body in _BODIES:
        described = body.model_json_schema(ref_template="#/components/schemas/{model}")
        described.pop("$defs", None)
        schemas[body.__name__] = described
    return schemas


def _json(description: str, name: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": _REFERENCE.format(name=name)}}}
    return {"description": description, "content": content}


def _query_parameters() -> list[dict[str, Any]]:
    properties = requests.SearchQuery.model_json_schema(
        ref_template="#/components/schemas/{model}"
    )["properties"]
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in properties.items()
    ]


#: The route that reads by itself.
_EVALUATE: Final = {
    "operationId": "evaluate_avaliar_post",
    "description": "Avalia um cliente, registra a decisão e responde com ela.",
    "parameters": _WAITING_HEADERS,
    "requestBody": {"required": True, **_json("ApplicantBody", "ApplicantBody")},
    "responses": {
        "200": _json("OK", "Avaliacao"),
        "202": _json("O pedido espera pelo modelo", "Pendente"),
        "default": PROBLEM,
    },
}
