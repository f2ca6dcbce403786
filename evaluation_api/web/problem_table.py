"""What is answered to each of our errors, and to HTTP's own: status, code, title and detail.

The only module that knows status codes of errors; problems.py answers with them.
"""

from dataclasses import dataclass
from http import HTTPStatus
from operator import attrgetter
from typing import Final

from evaluation_api.decision import errors
from evaluation_api.web import requests


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered. retry_after_seconds: None where a repeat would bring the same."""

    status: HTTPStatus
    code: str
    title: str
    detail: str
    retry_after_seconds: int | None = None


#: Of an error the first that its class, or a class above it, has. A read may be refused as well as
#: a write: of neither is said that nothing was recorded, where both are told the same.
ANSWERS: Final = {
    errors.InvalidRequestError: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "dados_nao_aceitos",
        "Dados não aceitos",
        "Alguns campos precisam de correção; o pedido não foi atendido.",
    ),
    errors.MalformedJsonError: Answer(
        HTTPStatus.BAD_REQUEST,
        "json_invalido",
        "JSON inválido",
        "O corpo do pedido não é um JSON válido.",
    ),
    errors.ModelError: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "avaliacao_indisponivel",
        "Avaliação indisponível",
        "O serviço do modelo não está respondendo, e o pedido não foi atendido. Tente de novo em"
        " instantes.",
        retry_after_seconds=2,
    ),
    errors.RecordUnavailableError: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "registro_indisponivel",
        "Registro indisponível",
        "O banco de dados não está respondendo, e nenhuma decisão é dada sem registro."
        " Tente de novo em instantes.",
        retry_after_seconds=5,
    ),
    # Without Retry-After: who has no key and repeats would be evaluated twice.
    errors.RecordUncertainError: Answer(
        HTTPStatus.GATEWAY_TIMEOUT,
        "registro_incerto",
        "Registro não confirmado",
        "O banco de dados não confirmou a tempo se o pedido foi registrado. Tente de novo em"
        " instantes: com a mesma chave de idempotência, nada acontece duas vezes; sem chave,"
        " procure antes no histórico.",
    ),
    errors.OverloadedError: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "servico_ocupado",
        "Serviço ocupado",
        "Há muitos pedidos neste momento, e este não foi atendido. Tente de novo em instantes.",
        retry_after_seconds=1,
    ),
    errors.ManyFilesError: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "arquivos_demais",
        "Arquivos demais ao mesmo tempo",
        "Outros arquivos estão sendo enviados ou baixados. Tente de novo em instantes.",
        retry_after_seconds=10,
    ),
    errors.EvaluationNotFoundError: Answer(
        HTTPStatus.NOT_FOUND,
        "avaliacao_nao_encontrada",
        "Avaliação não encontrada",
        "Não há avaliação com esse código.",
    ),
    errors.EvaluationPendingError: Answer(
        HTTPStatus.CONFLICT,
        "avaliacao_pendente",
        "Avaliação pendente",
        "Ainda não há decisão a revisar. Aguarde a avaliação e tente de novo.",
        retry_after_seconds=1,
    ),
    errors.EvaluationErasedError: Answer(
        HTTPStatus.GONE,
        "dados_apagados",
        "Dados apagados",
        "Os dados desta pessoa foram apagados, e sem eles não há o que revisar. A decisão permanece"
        " como está; nada foi registrado.",
    ),
    errors.EvaluationCorrectedError: Answer(
        HTTPStatus.CONFLICT,
        "avaliacao_corrigida",
        "Avaliação corrigida",
        "Os dados desta pessoa foram corrigidos, e outra avaliação vale no lugar desta. Revise a"
        " que vale; nada foi registrado.",
    ),
    errors.UnseenReviewsError: Answer(
        HTTPStatus.CONFLICT,
        "revisoes_nao_vistas",
        "Há revisões que você não viu",
        "Outra pessoa revisou esta avaliação. Veja as revisões e decida de novo; a sua não foi"
        " registrada.",
    ),
    errors.UnknownPlaceError: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "lugar_desconhecido",
        "Lugar desconhecido",
        "Este registro nunca deu o lugar que está em depois_de: é de outro, ou o registro voltou"
        " a uma cópia anterior. Recomece de um lugar anterior, ou de 0.",
    ),
    errors.PolicyNotFoundError: Answer(
        HTTPStatus.NOT_FOUND,
        "politica_nao_encontrada",
        "Política não encontrada",
        "Nenhuma política dessa versão decidiu neste registro.",
    ),
    errors.ModelNotMetError: Answer(
        HTTPStatus.NOT_FOUND,
        "modelo_nao_encontrado",
        "Modelo não encontrado",
        "Nenhum modelo dessa versão respondeu a este registro.",
    ),
    errors.ClientFileErasedError: Answer(
        HTTPStatus.GONE,
        "arquivo_apagado",
        "Arquivo apagado",
        "Os dados de uma pessoa que veio neste arquivo foram apagados, e com eles o arquivo e o"
        " resultado. As avaliações dos outros clientes permanecem no histórico.",
    ),
    errors.ClientFileNotFoundError: Answer(
        HTTPStatus.NOT_FOUND,
        "lote_nao_encontrado",
        "Arquivo não encontrado",
        "Não há arquivo com esse código.",
    ),
    errors.ClientFileStateError: Answer(
        HTTPStatus.CONFLICT,
        "lote_em_outra_situacao",
        "Não é possível agora",
        "A situação do arquivo não permite isso. Veja a situação atual e tente de novo.",
    ),
    errors.NoResultError: Answer(
        HTTPStatus.CONFLICT,
        "lote_sem_resultado",
        "Sem resultado ainda",
        "Nenhuma linha deste arquivo foi processada. Comece a avaliação, se ainda não começou, e"
        " baixe o resultado quando houver linhas processadas.",
    ),
    errors.FileTooLargeError: Answer(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "arquivo_grande_demais",
        "Arquivo grande demais",
        "Um arquivo pode ter até 200 MB e 1.000.000 de linhas. Divida-o em partes.",
    ),
    errors.UnidentifiedError: Answer(
        HTTPStatus.UNAUTHORIZED,
        "identificacao_necessaria",
        "Identificação necessária",
        "Entre pela página de entrada ou, de outro sistema, envie sua chave no cabeçalho"
        " Authorization: Bearer. O pedido não foi atendido.",
    ),
    errors.LinkGoneError: Answer(
        HTTPStatus.UNAUTHORIZED,
        "link_sem_validade",
        "Link sem validade",
        "Cada link de entrada vale uma única vez, e por pouco tempo. Peça outro a quem cuida do"
        " serviço.",
    ),
    errors.ProviderUnavailableError: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "provedor_indisponivel",
        "Entrada indisponível",
        "O provedor de identidade da empresa não está respondendo. Tente de novo em instantes.",
        retry_after_seconds=5,
    ),
    errors.NotAllowedError: Answer(
        HTTPStatus.FORBIDDEN,
        "sem_permissao",
        "Sem permissão",
        "Seu papel não permite isso; o pedido não foi atendido.",
    ),
    errors.OwnEvaluationError: Answer(
        HTTPStatus.FORBIDDEN,
        "avaliacao_propria",
        "Avaliação própria",
        "Quem fez uma avaliação não pode revisá-la. Nada foi registrado; peça a outra pessoa.",
    ),
    errors.RateExceededError: Answer(
        HTTPStatus.TOO_MANY_REQUESTS,
        "pedidos_demais",
        "Pedidos demais",
        "Você fez muitos pedidos em pouco tempo, e este não foi atendido. Tente de novo em"
        " instantes.",
        retry_after_seconds=1,
    ),
    errors.IdempotencyKeyReusedError: Answer(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "chave_ja_usada",
        "Chave já usada",
        "Essa chave de idempotência já foi usada com outros dados.",
    ),
    errors.IdempotencyKeyInFlightError: Answer(
        HTTPStatus.CONFLICT,
        "pedido_em_andamento",
        "Pedido em andamento",
        "O primeiro pedido com essa chave ainda está sendo respondido.",
        retry_after_seconds=1,
    ),
}

_OF_HTTP: Final = (
    ANSWERS[errors.MalformedJsonError],
    Answer(
        HTTPStatus.FORBIDDEN,
        "pedido_de_outra_pagina",
        "Pedido de outra página",
        "Uma página de outro endereço não pode mudar nada aqui. Nada foi registrado.",
    ),
    Answer(
        HTTPStatus.NOT_FOUND,
        "pagina_nao_encontrada",
        "Página não encontrada",
        "Não há nada neste endereço.",
    ),
    Answer(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "metodo_nao_permitido",
        "Método não permitido",
        "Este endereço não aceita esse método HTTP.",
    ),
    Answer(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "pedido_grande_demais",
        "Pedido grande demais",
        f"O corpo do pedido pode ter até {requests.MAX_BODY_BYTES // 1024} KB.",
    ),
    Answer(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "tipo_nao_aceito",
        "Tipo de conteúdo não aceito",
        "Envie o cabeçalho Content-Type: application/json ou, para um arquivo, text/csv; e o corpo"
        " sem compressão, sem o cabeçalho Content-Encoding.",
    ),
    Answer(
        HTTPStatus.MISDIRECTED_REQUEST,
        "host_desconhecido",
        "Endereço desconhecido",
        "O servidor não conhece o nome pelo qual foi chamado: falta em WEB_HOST, no arquivo .env,"
        " ou em EVALUATION_ALLOWED_HOSTS.",
    ),
)
#: A status of HTTP's that explains itself.
OTHER: Final = "outro"
OF_STATUS: Final = {answer.status: answer for answer in _OF_HTTP}
#: What the gateway alone answers (deploy/nginx/problems.conf).
_OF_THE_GATEWAY: Final = (
    Answer(
        HTTPStatus.REQUEST_URI_TOO_LONG,
        "endereco_grande_demais",
        "Endereço ou cabeçalho grande demais",
        "O endereço ou os cabeçalhos do pedido passam do limite.",
    ),
    Answer(
        HTTPStatus.TOO_MANY_REQUESTS,
        "muitos_pedidos",
        "Muitos pedidos",
        "Seu endereço fez muitos pedidos em pouco tempo, e este não foi atendido. Tente de novo em"
        " instantes.",
        retry_after_seconds=1,
    ),
    Answer(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "servico_indisponivel",
        "Serviço indisponível",
        "O serviço de avaliação não está respondendo. Tente de novo em instantes; com a mesma"
        " chave de idempotência, nada acontece duas vezes.",
        retry_after_seconds=2,
    ),
)
BROKEN_OFF = Answer(
    HTTPStatus.BAD_REQUEST,
    "pedido_incompleto",
    "Pedido incompleto",
    "O pedido não chegou inteiro. Tente de novo.",
)
#: What is refused before there is a request that the application could answer.
REFUSED: Final = {
    answer.status: answer
    for answer in (
        ANSWERS[errors.OverloadedError],
        Answer(
            HTTPStatus.BAD_REQUEST,
            "pedido_ilegivel",
            "Pedido ilegível",
            "O que chegou não é um pedido HTTP. Em um endereço, “João” se escreve Jo%C3%A3o.",
        ),
        Answer(
            HTTPStatus.REQUEST_TIMEOUT,
            "pedido_incompleto",
            "Pedido incompleto",
            "O pedido demorou demais a chegar inteiro, e não foi atendido. Tente de novo.",
        ),
        Answer(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
            "cabecalho_grande_demais",
            "Cabeçalho grande demais",
            "O cabeçalho do pedido pode ter até 64 KB e 100 campos.",
        ),
    )
}
UNEXPECTED = Answer(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "erro_inesperado",
    "Erro inesperado",
    "Algo deu errado do nosso lado. Informe o código do pedido a quem cuida do serviço.",
)


def documented() -> list[Answer]:
    """Return every problem, of each code one, in the order of their statuses."""
    rows = (*_OF_THE_GATEWAY, *REFUSED.values(), *ANSWERS.values(), *_OF_HTTP, UNEXPECTED)
    return sorted({answer.code: answer for answer in rows}.values(), key=attrgetter("status"))
