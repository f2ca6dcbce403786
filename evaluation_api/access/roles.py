"""Which role may ask for which route: one table, which docs/security.md shows as it stands here.

An application with a route that no line names does not start.
"""

from collections.abc import Iterator, Sequence
from re import Pattern
from typing import Any, Final

from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import Scope

from evaluation_api.access.identity import Role

Roles = frozenset[Role]
#: Method, path as TABLE has it, what matches it, who may ask.
_Rule = tuple[str, str, Pattern[str], Roles | None]

_HEAD: Final = {"HEAD"}
_EVERY_ROLE: Final[Roles] = frozenset(Role)
_EVALUATING: Final[Roles] = frozenset({Role.ANALYST, Role.REVIEWER})
#: They see what everybody made; who has none of these sees what they made themselves.
READING: Final[Roles] = _EVALUATING | {Role.MANAGER, Role.AUDITOR}
#: Whoever has not said yet who they are.
ANYBODY: Final[Roles] = frozenset()
#: Pages, descriptions and probes: for anybody, and not counted against anybody's rate.
FREE: Final = None
_REVIEWING: Final[Roles] = frozenset({Role.REVIEWER})
_OPERATING: Final[Roles] = frozenset({Role.OPERATOR})
_ASKING: Final = _EVALUATING | {Role.INTEGRATION}

TABLE: Final[dict[str, Roles | None]] = {
    "POST /avaliar": _ASKING,
    "GET /avaliacoes": READING,
    "POST /avaliacoes/busca": READING,
    "GET /avaliacoes/{evaluation_id}": READING | {Role.INTEGRATION},
    "GET /avaliacoes/{evaluation_id}/dossie": READING | {Role.INTEGRATION},
    "POST /avaliacoes/{evaluation_id}/revisao": _REVIEWING,
    "GET /politica": _EVERY_ROLE,
    "GET /modelo": _EVERY_ROLE,
    "POST /lotes": _EVALUATING,
    "GET /lotes": READING,
    "GET /lotes/modelo.csv": _EVERY_ROLE,
    "GET /lotes/{file_id}": READING,
    "GET /lotes/{file_id}/resultado.csv": READING,
    "GET /lotes/{file_id}/erros.csv": READING,
    "GET /lotes/{file_id}/enviado": READING,
    "POST /lotes/{file_id}/respostas": _EVALUATING,
    "POST /lotes/{file_id}/iniciar": _EVALUATING,
    "POST /lotes/{file_id}/pausar": _EVALUATING,
    "POST /lotes/{file_id}/retomar": _EVALUATING,
    "POST /lotes/{file_id}/cancelar": _EVALUATING,
    "GET /metrics": _OPERATING,
    "GET /acesso": ANYBODY,
    "POST /entrar": ANYBODY,
    "GET /entrar/oidc/{path}": ANYBODY,
    "POST /sair": ANYBODY,
    "GET /health": FREE,
    "GET /health/ready": FREE,
    "GET /health/live": FREE,
    "GET /openapi.json": FREE,
    "GET /docs": FREE,
    "GET /docs/problemas": FREE,
    "GET /docs/swagger-ui/{path}": FREE,
    "GET /docs/{path}": FREE,
}


class Rules:
    """Which roles may ask for what, by the routes' own patterns and in their order."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        """Take an application's routes. Raises KeyError for one that TABLE lacks."""
        self._rules: list[_Rule] = []
        for name, route in named(routes):
            if name not in TABLE:
                raise KeyError(f"{name}: TABLE of {__name__} says of no role that it may ask so")
            method, _, path = name.partition(" ")
            self._rules.append((method, path, route.path_regex, TABLE[name]))
        #: A pattern takes more than its own text: /avaliar%0A is asked of the route /avaliar, too.
        self._known = {(method, path): roles for method, path, _, roles in self._rules}

    def of(self, scope: Scope) -> Roles | None:
        """Return who may ask; FREE for pages, and for what no route takes."""
        method, path = scope["method"], scope["path"]
        return self._known.get((method, path)) or self._matching(method, path)

    def _matching(self, method: str, path: str) -> Roles | None:
        asked = "GET" if method == "HEAD" else method
        for taken, _, pattern, roles in self._rules:
            if taken == asked and pattern.match(path):
                return roles
        return FREE


def named(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, Any]]:
    """Return every route of an application, and every mount, by its name in TABLE."""
    for route in iter_route_contexts(routes):
        context: Any = route
        if context.methods is None:  # a mount, which reads
            yield f"GET {context.path}/{{path}}", context
        else:
            yield from ((f"{method} {context.path}", context) for method in context.methods - _HEAD)
