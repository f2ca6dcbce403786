"""What callers are answered, as types: names, descriptions and examples are the contract's.

FastAPI describes them in the OpenAPI document, so the texts are in Portuguese. An
evaluation is of dictionaries, which are made and written 4 us sooner than dataclasses.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes typing's own as of Python 3.12

from evaluation_api.decision.domain import Outcome


def about(description: str, *examples: object) -> Any:  # noqa: ANN401 - pydantic's own
    """Return what a field is described by."""
    return Field(description=description, examples=list(examples) or None)


Cluster = Annotated[int, about("Número do perfil, de 0 a 4", 4)]
ProfileName = Annotated[str, about("Nome do perfil", "Uso baixo")]
Amount = Annotated[str, about("Campo do pedido, como balance", "balance")]
Label = Annotated[str, about("Nome do campo para pessoas", "saldo devedor")]
Sentence = Annotated[str, about("Frase para pessoas")]
Moment = Annotated[str, about("UTC, RFC 3339", "2026-11-22T12:00:00.123Z")]
EvaluationId = Annotated[
    str, about("Código da avaliação; os 8 caracteres do fim são o protocolo", "01a203b4-6136")
]
Protocol = Annotated[
    str, about("Como as páginas e o relatório chamam a avaliação; em nome, a encontra", "7F3A 90C1")
]
Situation = Annotated[str, about("pendente ou concluida", "concluida")]
PolicyVersion = Annotated[str, about("Versão da política de decisão")]
ModelTag = Annotated[str, about("Versão do modelo", "modelo:ab12cd34")]
Sha256 = Annotated[str, about("SHA-256 do arquivo do modelo, em hexadecimal")]
Confidence = Annotated[
    float | None, about("De 0, na fronteira, a 1; nula se o modelo não a informa")
]
Decided = Annotated[Outcome, about("Decisão do sistema")]
FinalOutcome = Annotated[
    Outcome | None, about("A da última revisão ou, sem ela, a do sistema; se há uma")
]

Erased = Annotated[str | None, about("Quando a pessoa foi apagada, em UTC; ficou a decisão")]
CorrectedBy = Annotated[
    str | None, about("A avaliação que vale no lugar desta, com os dados corrigidos, se há")
]


class Perfil(TypedDict):
    """Um dos cinco perfis de cliente."""

    cluster: Cluster
    chave: Annotated[str, about("Chave do perfil na política")]
    nome: ProfileName


class Motivo(TypedDict):
    """O que um valor fez para separar o cliente do perfil vizinho."""

    campo: Amount
    rotulo: Label
    valor: Annotated[float, about("Valor informado, em reais")]
    contribuicao: Annotated[float, about("Quanto aproxima do perfil (positiva) ou afasta dele")]
    sentido: Annotated[str, about("aproxima ou afasta", "aproxima")]
    frase: Sentence


class Simulacao(TypedDict):
    """A menor mudança, em um só valor, que levaria à aprovação."""

    campo: Amount
    rotulo: Label
    de: Annotated[float, about("Valor informado, em reais")]
    para: Annotated[float, about("Valor que levaria à aprovação, em reais")]
    cluster: Cluster
    perfil: ProfileName
    frase: Sentence
    ate: NotRequired[  # the first release did not say
        Annotated[
            float | None, about("Até que valor isso vale; nulo se vale até onde a política permite")
        ]
    ]


class Fato(TypedDict):
    """O que é verdade dos valores deste cliente, sem o modelo."""

    codigo: Annotated[str, about("uso_do_limite, parte_paga ou saques", "uso_do_limite")]
    rotulo: Label
    valor: Annotated[float | None, about("Em porcento; nulo se não há dívida a pagar")]
    unidade: Annotated[str, about("Sempre %")]
    limite: Annotated[float, about("A partir de onde a política o vê como adverso")]
    frase: Sentence


class MotivoPrincipal(TypedDict):
    """Um fato adverso que pesou em uma decisão que não é aprovação."""

    codigo: Annotated[
        str, about("uso_alto, pouco_pago, quase_nada_pago ou saques_altos", "uso_alto")
    ]
    campo: Amount
    frase: Sentence
    valor: Annotated[float, about("Em porcento")]
    referencia: Annotated[float, about("Da política, em porcento")]


class Avaliacao(TypedDict):
    """A avaliação de um cliente: o perfil, a decisão e o que as explica."""

    nome: Annotated[str, about("Nome do cliente", "Maria")]
    cluster: Cluster
    resposta: Annotated[str, about("O que o perfil quer dizer, em uma frase")]
    id: EvaluationId
    decisao: Decided
    perfil: Annotated[Perfil, about("Perfil do cliente")]
    perfil_vizinho: Annotated[Perfil | None, about("O segundo mais próximo, se há")]
    motivos: Annotated[list[Motivo], about("Do mais forte para o mais fraco")]
    observacoes: Annotated[list[str], about("Por que o caso vai para análise manual")]
    confianca: Confidence
    simulacao: Annotated[Simulacao | None, about("O que levaria à aprovação, se há")]
    modelo: ModelTag
    modelo_sha256: Sha256
    politica: PolicyVersion
    avaliado_em: Moment
    duracao_ms: Annotated[float, about("Do pedido à decisão, em milissegundos")]
    fatos: Annotated[list[Fato], about("Sempre os mesmos, nesta ordem")]
    motivos_principais: Annotated[
        list[MotivoPrincipal], about("De um a três, adversos, se a decisão não é aprovação")
    ]


@dataclass(slots=True)
class Pendente:
    """Um pedido aceito, que aguarda o modelo."""

    id: EvaluationId
    protocolo: Protocol
    situacao: Annotated[str, about("Sempre pendente")] = "pendente"


@dataclass(slots=True)
class Pedido:
    """O que foi pedido, como foi lido; valores em reais, nulos se os dados foram apagados."""

    name: Annotated[str, about("Nome do cliente")]
    balance: Annotated[float | None, about("Saldo devedor")]
    purchases: Annotated[float | None, about("Compras")]
    cash_advance: Annotated[float | None, about("Saques")]
    credit_limit: Annotated[float | None, about("Limite de crédito")]
    payments: Annotated[float | None, about("Pagamentos")]


@dataclass(slots=True)
class Revisao:
    """O que uma pessoa decidiu."""

    id: Annotated[str, about("Código da revisão")]
    decisao: Annotated[Outcome, about("Decisão de quem revisou")]
    justificativa: Annotated[str, about("Por quê")]
    revisor: Annotated[str, about("Nome de quem revisou")]
    revisado_em: Moment
    motivo: Annotated[str | None, about("Por quê, em um código; nulo nas de versões anteriores")]


@dataclass(slots=True)
class Registro:
    """Uma avaliação como está registrada."""

    id: EvaluationId
    protocolo: Protocol
    situacao: Situation
    recebido_em: Moment
    pedido: Pedido
    avaliacao: Annotated[Avaliacao | None, about("Como foi dada; nula se pendente")]
    degradada: Annotated[bool, about("O modelo estava fora do ar quando o pedido chegou")]
    revisoes: Annotated[list[Revisao], about("Da primeira à última")]
    decisao_final: FinalOutcome
    apagado_em: Erased
    corrige: Annotated[str | None, about("A avaliação no lugar da qual esta vale, se corrige uma")]
    corrigida_por: CorrectedBy


@dataclass(slots=True)
class Item:
    """Uma linha da lista de avaliações."""

    id: EvaluationId
    protocolo: Protocol
    situacao: Situation
    recebido_em: Moment
    nome: Annotated[str, about("Nome do cliente")]
    cluster: Annotated[int | None, about("Número do perfil; nulo se pendente")]
    perfil: Annotated[str | None, about("Nome do perfil; nulo se pendente")]
    decisao: Annotated[Outcome | None, about("Do sistema; nula se pendente")]
    decisao_final: FinalOutcome
    confianca: Confidence
    revisoes: Annotated[int, about("Quantas revisões há")]
    apagado_em: Erased
    corrigida_por: CorrectedBy


@dataclass(slots=True)
class Pagina:
    """Uma página de avaliações, da última registrada à primeira."""

    itens: list[Item]
    proximo: Annotated[
        str | None, about("Cursor da página seguinte, se há; com depois_de, de onde continuar")
    ]


@dataclass(slots=True)
class Criterio:
    """O que se decide para um perfil."""

    cluster: Cluster
    chave: Annotated[str, about("Chave do perfil na política")]
    nome: ProfileName
    frase: Sentence
    decisao: Annotated[Outcome, about("Quando os fatos não são adversos")]
    decisao_se_ruim: Annotated[Outcome, about("Com uso alto e pouco pago")]
    decisao_se_nada_pago: Annotated[Outcome, about("Com quase nada pago")]


@dataclass(slots=True)
class Fronteira:
    """O que se observa quando outro perfil está quase tão perto."""

    confianca_minima: Annotated[float, about("Abaixo dela, o caso é de fronteira")]
    decisao: Annotated[Outcome | None, about("Nula se a fronteira é só uma observação")]
    frase: Sentence


@dataclass(slots=True)
class Limite:
    """Um limite da faixa do modelo."""

    regra: Annotated[str, about("Um valor, ou um dividido por outro")]
    maximo: Annotated[float, about("Em reais, ou em vezes o outro valor")]
    frase: Sentence


@dataclass(slots=True)
class Faixa:
    """O que se decide fora da faixa do modelo."""

    decisao: Decided
    frase: Sentence
    limites: list[Limite]


@dataclass(slots=True)
class Criterios:
    """A partir de onde um fato é adverso, em porcento ou em reais."""

    uso_alto: Annotated[float, about("Saldo devedor sobre o limite, a partir de")]
    pouco_pago: Annotated[float, about("Pagamentos sobre o saldo devedor, abaixo de")]
    quase_nada_pago: Annotated[float, about("Pagamentos sobre o saldo, abaixo de")]
    quitado_ate: Annotated[float, about("Dívida que conta como paga, em reais")]


@dataclass(slots=True)
class MotivoPossivel:
    """Um motivo que uma decisão pode trazer."""

    codigo: Annotated[str, about("Código estável", "uso_alto")]
    campo: Amount
    referencia: Annotated[float, about("Em porcento")]
    frase: Sentence


@dataclass(slots=True)
class Promessa:
    """Ninguém recusado teria algo melhor por se comportar pior."""

    vale: Annotated[bool | None, about("Para o modelo em serviço; nula se não se sabe")]
    frase: Sentence
    fronteiras: Annotated[list[str], about("As que não a deixam valer, em palavras")]
    excecao: Annotated[str, about("A exceção conhecida, que não alcança recusas")]


@dataclass(slots=True)
class VersaoDaPolitica:
    """Uma política que decidiu neste registro."""

    versao: PolicyVersion
    nome: Annotated[str, about("Nome da política")]
    vigente_desde: Annotated[date, about("Primeiro dia de vigência")]
    usada_desde: Moment


@dataclass(slots=True)
class Politica:
    """Os critérios em vigor, ou os de uma versão anterior."""

    versao: PolicyVersion
    nome: Annotated[str, about("Nome da política")]
    vigente_desde: Annotated[date, about("Primeiro dia de vigência")]
    perfis: Annotated[list[Criterio], about("Os cinco, de 0 a 4")]
    fronteira: Fronteira
    faixa: Faixa
    fatos: Annotated[Criterios | None, about("Nulo se a política não usa fatos")]
    motivos: Annotated[list[MotivoPossivel], about("Os de motivos_principais")]
    promessa: Annotated[Promessa | None, about("Nula se a política não a faz")]
    versoes: Annotated[list[VersaoDaPolitica], about("Da mais recente à mais antiga")]


@dataclass(slots=True)
class Medida:
    """Um número medido antes da publicação, e o limite que respeita."""

    o_que: Annotated[str, about("O que foi medido, como o repositório o chama")]
    valor: Annotated[float, about("O valor medido")]
    no_minimo: Annotated[float | None, about("O menor aceito")]
    no_maximo: Annotated[float | None, about("O maior aceito")]


@dataclass(slots=True)
class Ficha:
    """De onde vem o modelo, quão bom e estável é, e quem o publicou."""

    dados: Annotated[dict[str, str] | None, about("Do treino, com o seu sha256")]
    indices: Annotated[dict[str, float] | None, about("Da separação dos perfis")]
    estabilidade: Annotated[
        dict[str, float] | None, about("Índice de Rand ajustado, por reamostragem")
    ]
    limites: Annotated[tuple[Medida, ...], about("O que foi exigido dele")]
    publicado_por: Annotated[str | None, about("Quem publicou")]
    publicado_em: Annotated[str | None, about("Quando, em UTC")]
    motivo: Annotated[str | None, about("Por que foi publicado")]


@dataclass(slots=True)
class Modelo:
    """O modelo em serviço."""

    tag: ModelTag
    sha256: Sha256
    caracteristicas: Annotated[tuple[str, ...], about("Os valores, em ordem")]
    centroides: Annotated[
        tuple[tuple[float, ...], ...] | None,
        about("Centro de cada perfil na esfera unitária, se há"),
    ]
    tamanhos: Annotated[tuple[int, ...] | None, about("Clientes em cada perfil")]
    ficha: Annotated[Ficha | None, about("Se o serviço do modelo a informa")] = None


@dataclass(slots=True)
class Partes:
    """Aquilo de que o serviço depende."""

    banco: Annotated[str, about("ok ou indisponivel", "ok")]
    modelo: Annotated[str, about("ok ou indisponivel", "ok")]
    lugares: Annotated[str, about("Para mais pedidos: ok ou esgotados", "ok")]


@dataclass(slots=True)
class Saude:
    """Como o serviço está."""

    situacao: Annotated[str, about("ok, degradada (sem modelo) ou indisponivel")]
    partes: Partes
    avisos: Annotated[list[str], about("O que funciona, mas alguém deve ver; em geral, nada")]


@dataclass(slots=True)
class Vida:
    """O que um processo vivo diz de si."""

    situacao: Annotated[str, about("Sempre ok")] = "ok"


@dataclass(slots=True)
class Acesso:
    """Quem está usando o serviço, e o que pode."""

    aberto: Annotated[bool, about("Se ninguém precisa se identificar")]
    nome: Annotated[str | None, about("Nome de quem entrou; nulo se ninguém entrou")]
    papeis: Annotated[list[str], about("Papéis de quem entrou", ["analista"])]
    pode: Annotated[list[str], about("Rotas permitidas", ["POST /avaliar"])]
    provedor: Annotated[bool, about("Se se entra com a conta da empresa")]
