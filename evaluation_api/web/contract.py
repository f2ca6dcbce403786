"""What callers are answered, as types: names, descriptions and examples are the contract's.

FastAPI describes them in the OpenAPI document, so the texts are in Portuguese. Not frozen: that
would take 6 us more of each evaluation.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field

from evaluation_api.decision.domain import Outcome

Cluster = Annotated[int, Field(description="Número do perfil, de 0 a 4", examples=[4])]
ProfileName = Annotated[str, Field(description="Nome do perfil", examples=["Uso baixo"])]
Amount = Annotated[str, Field(description="Campo do pedido, como balance", examples=["balance"])]
Label = Annotated[str, Field(description="Nome do campo para pessoas", examples=["saldo devedor"])]
Sentence = Annotated[str, Field(description="Frase para pessoas")]
Moment = Annotated[str, Field(description="UTC, RFC 3339", examples=["2026-11-22T12:00:00.123Z"])]
EvaluationId = Annotated[str, Field(description="Código da avaliação", examples=["01a203b4-6136"])]
Situation = Annotated[str, Field(description="pendente ou concluida", examples=["concluida"])]
PolicyVersion = Annotated[str, Field(description="Versão da política de decisão")]
ModelTag = Annotated[str, Field(description="Versão do modelo", examples=["modelo:ab12cd34"])]
Sha256 = Annotated[str, Field(description="SHA-256 do arquivo do modelo, em hexadecimal")]
Confidence = Annotated[
    float | None, Field(description="De 0, na fronteira, a 1; nula se o modelo não a informa")
]
Decided = Annotated[Outcome, Field(description="Decisão do sistema")]
FinalOutcome = Annotated[
    Outcome | None, Field(description="A da última revisão ou, sem ela, a do sistema; se há uma")
]

Erased = Annotated[
    str | None, Field(description="Quando a pessoa foi apagada, em UTC; ficou a decisão")
]


@dataclass(slots=True)
class Perfil:
    """Um dos cinco perfis de cliente."""

    cluster: Cluster
    chave: Annotated[str, Field(description="Chave do perfil na política")]
    nome: ProfileName


@dataclass(slots=True)
class Motivo:
    """O que um valor fez para separar o cliente do perfil vizinho."""

    campo: Amount
    rotulo: Label
    valor: Annotated[float, Field(description="Valor informado, em reais")]
    contribuicao: Annotated[
        float, Field(description="Quanto aproxima do perfil (positiva) ou afasta dele")
    ]
    sentido: Annotated[str, Field(description="aproxima ou afasta", examples=["aproxima"])]
    frase: Sentence


@dataclass(slots=True)
class Simulacao:
    """A menor mudança, em um só valor, que levaria à aprovação."""

    campo: Amount
    rotulo: Label
    de: Annotated[float, Field(description="Valor informado, em reais")]
    para: Annotated[float, Field(description="Valor que levaria à aprovação, em reais")]
    cluster: Cluster
    perfil: ProfileName
    frase: Sentence
    ate: Annotated[
        float | None,
        Field(description="Até que valor isso vale; nulo se vale até onde a política permite"),
    ] = None


@dataclass(slots=True)
class Fato:
    """O que é verdade dos valores deste cliente, sem o modelo."""

    codigo: Annotated[
        str, Field(description="uso_do_limite, parte_paga ou saques", examples=["uso_do_limite"])
    ]
    rotulo: Label
    valor: Annotated[float | None, Field(description="Em porcento; nulo se não há dívida a pagar")]
    unidade: Annotated[str, Field(description="Sempre %")]
    limite: Annotated[float, Field(description="A partir de onde a política o vê como adverso")]
    frase: Sentence


@dataclass(slots=True)
class MotivoPrincipal:
    """Um fato adverso que pesou em uma decisão que não é aprovação."""

    codigo: Annotated[
        str,
        Field(
            description="uso_alto, pouco_pago, quase_nada_pago ou saques_altos",
            examples=["uso_alto"],
        ),
    ]
    campo: Amount
    frase: Sentence
    valor: Annotated[float, Field(description="Em porcento")]
    referencia: Annotated[float, Field(description="Da política, em porcento")]


@dataclass(slots=True)
class Avaliacao:
    """A avaliação de um cliente: o perfil, a decisão e o que as explica."""

    nome: Annotated[str, Field(description="Nome do cliente", examples=["Maria"])]
    cluster: Cluster
    resposta: Annotated[str, Field(description="O que o perfil quer dizer, em uma frase")]
    id: EvaluationId
    decisao: Decided
    perfil: Annotated[Perfil, Field(description="Perfil do cliente")]
    perfil_vizinho: Annotated[Perfil | None, Field(description="O segundo mais próximo, se há")]
    motivos: Annotated[list[Motivo], Field(description="Do mais forte para o mais fraco")]
    observacoes: Annotated[list[str], Field(description="Por que o caso vai para análise manual")]
    confianca: Confidence
    simulacao: Annotated[Simulacao | None, Field(description="O que levaria à aprovação, se há")]
    modelo: ModelTag
    modelo_sha256: Sha256
    politica: PolicyVersion
    avaliado_em: Moment
    duracao_ms: Annotated[float, Field(description="Do pedido à decisão, em milissegundos")]
    fatos: Annotated[list[Fato], Field(description="Sempre os mesmos, nesta ordem")]
    motivos_principais: Annotated[
        list[MotivoPrincipal],
        Field(description="De um a três, adversos, se a decisão não é aprovação"),
    ]


@dataclass(slots=True)
class Pendente:
    """Um pedido aceito, que aguarda o modelo."""

    id: EvaluationId
    situacao: Annotated[str, Field(description="Sempre pendente")] = "pendente"


@dataclass(slots=True)
class Pedido:
    """O que foi pedido, como foi lido; valores em reais, nulos se os dados foram apagados."""

    name: Annotated[str, Field(description="Nome do cliente")]
    balance: Annotated[float | None, Field(description="Saldo devedor")]
    purchases: Annotated[float | None, Field(description="Compras")]
    cash_advance: Annotated[float | None, Field(description="Saques")]
    credit_limit: Annotated[float | None, Field(description="Limite de crédito")]
    payments: Annotated[float | None, Field(description="Pagamentos")]


@dataclass(slots=True)
class Revisao:
    """O que uma pessoa decidiu."""

    id: Annotated[str, Field(description="Código da revisão")]
    decisao: Annotated[Outcome, Field(description="Decisão de quem revisou")]
    justificativa: Annotated[str, Field(description="Por quê")]
    revisor: Annotated[str, Field(description="Nome de quem revisou")]
    revisado_em: Moment
    motivo: Annotated[
        str | None, Field(description="Por quê, em um código; nulo nas de versões anteriores")
    ]


@dataclass(slots=True)
class Registro:
    """Uma avaliação como está registrada."""

    id: EvaluationId
    situacao: Situation
    recebido_em: Moment
    pedido: Pedido
    avaliacao: Annotated[Avaliacao | None, Field(description="Como foi dada; nula se pendente")]
    degradada: Annotated[
        bool, Field(description="O modelo estava fora do ar quando o pedido chegou")
    ]
    revisoes: Annotated[list[Revisao], Field(description="Da primeira à última")]
    decisao_final: FinalOutcome
    apagado_em: Erased


@dataclass(slots=True)
class Item:
    """Uma linha da lista de avaliações."""

    id: EvaluationId
    situacao: Situation
    recebido_em: Moment
    nome: Annotated[str, Field(description="Nome do cliente")]
    cluster: Annotated[int | None, Field(description="Número do perfil; nulo se pendente")]
    perfil: Annotated[str | None, Field(description="Nome do perfil; nulo se pendente")]
    decisao: Annotated[Outcome | None, Field(description="Do sistema; nula se pendente")]
    decisao_final: FinalOutcome
    confianca: Confidence
    revisoes: Annotated[int, Field(description="Quantas revisões há")]
    apagado_em: Erased


@dataclass(slots=True)
class Pagina:
    """Uma página de avaliações, da mais recente à mais antiga."""

    itens: list[Item]
    proximo: Annotated[
        str | None,
        Field(description="Cursor da página seguinte, se há; com depois_de, de onde continuar"),
    ]


@dataclass(slots=True)
class Criterio:
    """O que se decide para um perfil."""

    cluster: Cluster
    chave: Annotated[str, Field(description="Chave do perfil na política")]
    nome: ProfileName
    frase: Sentence
    decisao: Annotated[Outcome, Field(description="Quando os fatos não são adversos")]
    decisao_se_ruim: Annotated[Outcome, Field(description="Com uso alto e pouco pago")]
    decisao_se_nada_pago: Annotated[Outcome, Field(description="Com quase nada pago")]


@dataclass(slots=True)
class Fronteira:
    """O que se observa quando outro perfil está quase tão perto."""

    confianca_minima: Annotated[float, Field(description="Abaixo dela, o caso é de fronteira")]
    decisao: Annotated[Outcome | None, Field(description="Nula se a fronteira é só uma observação")]
    frase: Sentence


@dataclass(slots=True)
class Limite:
    """Um limite da faixa do modelo."""

    regra: Annotated[str, Field(description="Um valor, ou um dividido por outro")]
    maximo: Annotated[float, Field(description="Em reais, ou em vezes o outro valor")]
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

    uso_alto: Annotated[float, Field(description="Saldo devedor sobre o limite, a partir de")]
    pouco_pago: Annotated[float, Field(description="Pagamentos sobre o saldo devedor, abaixo de")]
    quase_nada_pago: Annotated[float, Field(description="Pagamentos sobre o saldo, abaixo de")]
    quitado_ate: Annotated[float, Field(description="Dívida que conta como paga, em reais")]


@dataclass(slots=True)
class MotivoPossivel:
    """Um motivo que uma decisão pode trazer."""

    codigo: Annotated[str, Field(description="Código estável", examples=["uso_alto"])]
    campo: Amount
    referencia: Annotated[float, Field(description="Em porcento")]
    frase: Sentence


@dataclass(slots=True)
class Promessa:
    """Ninguém recusado teria algo melhor por se comportar pior."""

    vale: Annotated[bool | None, Field(description="Para o modelo em serviço; nula se não se sabe")]
    frase: Sentence
    fronteiras: Annotated[list[str], Field(description="As que não a deixam valer, em palavras")]
    excecao: Annotated[str, Field(description="A exceção conhecida, que não alcança recusas")]


@dataclass(slots=True)
class VersaoDaPolitica:
    """Uma política que decidiu neste registro."""

    versao: PolicyVersion
    nome: Annotated[str, Field(description="Nome da política")]
    vigente_desde: Annotated[date, Field(description="Primeiro dia de vigência")]
    usada_desde: Moment


@dataclass(slots=True)
class Politica:
    """Os critérios em vigor, ou os de uma versão anterior."""

    versao: PolicyVersion
    nome: Annotated[str, Field(description="Nome da política")]
    vigente_desde: Annotated[date, Field(description="Primeiro dia de vigência")]
    perfis: Annotated[list[Criterio], Field(description="Os cinco, de 0 a 4")]
    fronteira: Fronteira
    faixa: Faixa
    fatos: Annotated[Criterios | None, Field(description="Nulo se a política não usa fatos")]
    motivos: Annotated[list[MotivoPossivel], Field(description="Os de motivos_principais")]
    promessa: Annotated[Promessa | None, Field(description="Nula se a política não a faz")]
    versoes: Annotated[list[VersaoDaPolitica], Field(description="Da mais recente à mais antiga")]


@dataclass(slots=True)
class Medida:
    """Um número medido antes da publicação, e o limite que respeita."""

    o_que: Annotated[str, Field(description="O que foi medido, como o repositório o chama")]
    valor: Annotated[float, Field(description="O valor medido")]
    no_minimo: Annotated[float | None, Field(description="O menor aceito")]
    no_maximo: Annotated[float | None, Field(description="O maior aceito")]


@dataclass(slots=True)
class Ficha:
    """De onde vem o modelo, quão bom e estável é, e quem o publicou."""

    dados: Annotated[dict[str, str] | None, Field(description="Do treino, com o seu sha256")]
    indices: Annotated[dict[str, float] | None, Field(description="Da separação dos perfis")]
    estabilidade: Annotated[
        dict[str, float] | None, Field(description="Índice de Rand ajustado, por reamostragem")
    ]
    limites: Annotated[tuple[Medida, ...], Field(description="O que foi exigido dele")]
    publicado_por: Annotated[str | None, Field(description="Quem publicou")]
    publicado_em: Annotated[str | None, Field(description="Quando, em UTC")]
    motivo: Annotated[str | None, Field(description="Por que foi publicado")]


@dataclass(slots=True)
class Modelo:
    """O modelo em serviço."""

    tag: ModelTag
    sha256: Sha256
    caracteristicas: Annotated[tuple[str, ...], Field(description="Os valores, em ordem")]
    centroides: Annotated[
        tuple[tuple[float, ...], ...] | None,
        Field(description="Centro de cada perfil na esfera unitária, se há"),
    ]
    tamanhos: Annotated[tuple[int, ...] | None, Field(description="Clientes em cada perfil")]
    ficha: Annotated[Ficha | None, Field(description="Se o serviço do modelo a informa")] = None


@dataclass(slots=True)
class Partes:
    """Aquilo de que o serviço depende."""

    banco: Annotated[str, Field(description="ok ou indisponivel", examples=["ok"])]
    modelo: Annotated[str, Field(description="ok ou indisponivel", examples=["ok"])]
    lugares: Annotated[
        str, Field(description="Para mais pedidos: ok ou esgotados", examples=["ok"])
    ]


@dataclass(slots=True)
class Saude:
    """Como o serviço está."""

    situacao: Annotated[str, Field(description="ok, degradada (sem modelo) ou indisponivel")]
    partes: Partes
    avisos: Annotated[
        list[str], Field(description="O que funciona, mas alguém deve ver; em geral, nada")
    ]


@dataclass(slots=True)
class Vida:
    """O que um processo vivo diz de si."""

    situacao: Annotated[str, Field(description="Sempre ok")] = "ok"


@dataclass(slots=True)
class Acesso:
    """Quem está usando o serviço, e o que pode."""

    aberto: Annotated[bool, Field(description="Se ninguém precisa se identificar")]
    nome: Annotated[str | None, Field(description="Nome de quem entrou; nulo se ninguém entrou")]
    papeis: Annotated[
        list[str], Field(description="Papéis de quem entrou", examples=[["analista"]])
    ]
    pode: Annotated[list[str], Field(description="Rotas permitidas", examples=[["POST /avaliar"]])]
    provedor: Annotated[bool, Field(description="Se se entra com a conta da empresa")]
