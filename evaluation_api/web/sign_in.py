"""How people come in and go: who is signed in, one-time links, and signing out."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Router
from starlette.types import ASGIApp

from evaluation_api.access import credentials, roles
from evaluation_api.access.gate import Access
from evaluation_api.access.identity import UNKNOWN, Identity, identity_of
from evaluation_api.decision import errors
from evaluation_api.web import contract
from evaluation_api.web.api_route import ApiRoute
from evaluation_api.web.problems import OF_A_BODY, described
from evaluation_api.web.requests import Body
from evaluation_api.web.routes import NO_STORE, Asking, Needed, no_store, services_of

router = APIRouter(route_class=ApiRoute, tags=["acesso"], dependencies=[Depends(no_store)])


class LinkBody(Body):
    """O que um link de entrada traz depois do #."""

    link: Annotated[str, Field(min_length=1, max_length=200, description="De uso único")]


async def _access(request: Request) -> Access:
    access: Access | None = request.app.state.access
    if access is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return access


Entrance = Annotated[Access, Depends(_access)]


@router.get("/acesso", operation_id="mostrar_acesso", responses=described())
async def show(request: Request, asking: Asking) -> contract.Acesso:
    """Diz quem está usando o serviço, o que seus papéis permitem, e como se entra."""
    return _told(asking, request.app.state.access)


@router.post(
    "/entrar",
    operation_id="entrar",
    responses=described(errors.LinkGoneError, *OF_A_BODY),
)
async def enter(
    services: Needed, access: Entrance, asking: Asking, sent: LinkBody, response: Response
) -> contract.Acesso:
    """Troca um link de uso único por uma sessão de oito horas."""
    digest = credentials.digest_of(sent.link.encode())
    use = services.credentials.use_link
    session_id, who = await services.executor.run_write(use, digest, asking.address)
    _set_cookie(response, access, access.sessions.seal(session_id, who))
    return _told(who, access)


@router.post("/sair", operation_id="sair", responses=described())
async def leave(
    request: Request, services: Needed, access: Entrance, asking: Asking, response: Response
) -> contract.Acesso:
    """Encerra a sessão deste navegador, em todas as réplicas."""
    if session := access.keyring.session_of(request.scope):
        await services.executor.run_write(services.credentials.revoke, session.id, asking)
        access.keyring.end(session.id)
    _set_cookie(response, access, "")
    return _told(UNKNOWN, access)


def of_provider(access: Access | None) -> ASGIApp:
    """Return what leads to a provider of identities and back, if there is one."""
    if access is None or access.provider is None:
        return Router()

    async def welcome(request: Request, who: Identity) -> Response:
        response = RedirectResponse("/", HTTPStatus.SEE_OTHER, NO_STORE)
        whence = replace(who, address=identity_of(request.scope).address)
        services = services_of(request)
        begin = services.credentials.begin_session
        session_id = await services.executor.run_write(begin, whence)
        _set_cookie(response, access, access.sessions.seal(session_id, who))
        return response

    return access.provider.app(welcome)


def _set_cookie(response: Response, access: Access, value: str) -> None:
    """Have a browser keep a session, or drop it; Lax: a provider leads back from its own page."""
    response.set_cookie(
        access.sessions.cookie,
        value,
        max_age=int(credentials.SESSION_LIFETIME.total_seconds()) if value else 0,
        secure=access.sessions.is_https,
        httponly=True,
        samesite="lax",
    )


def _told(asking: Identity, access: Access | None) -> contract.Acesso:
    allowed = [
        name
        for name, those in roles.TABLE.items()
        if not those or not asking.roles.isdisjoint(those)
    ]
    return contract.Acesso(
        aberto=access is None,
        nome=asking.name or None,
        papeis=sorted(asking.roles),
        pode=allowed,
        provedor=access is not None and access.provider is not None,
    )
