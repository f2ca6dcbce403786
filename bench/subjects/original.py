"""What the monolith and the naive split have in common: the request, the sentences, the pickle."""

from pathlib import Path

from pydantic import BaseModel

PICKLE = Path(__file__).parents[2] / "model_store/modelo_cluster_cartao_credito.pkl"
RESPOSTAS = {
    0: "O cliente está endividado no limite do cartão e costuma pagar mal.",
    1: "O cliente saca muito dinheiro, usa pouco crédito e paga bem.",
    2: "O cliente prefere débito e saques e paga pouco.",
    3: "O cliente usa pouco os serviços financeiros.",
    4: "O cliente usa muito o crédito e paga bem.",
}


class Uso(BaseModel):
    """Five amounts of card use."""

    balance: float
    purchases: float
    cash_advance: float
    credit_limit: float
    payments: float

    def linha(self) -> list[float]:
        """Return the row that the model takes."""
        return [self.balance, self.purchases, self.cash_advance, self.credit_limit, self.payments]


class Cliente(Uso):
    """A prospective client."""

    name: str


def resposta(nome: str, cluster: int) -> dict[str, str | int]:
    """Return what /avaliar answered."""
    return {"nome": nome, "cluster": cluster, "resposta": RESPOSTAS[cluster]}
