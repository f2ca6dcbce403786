"""Made-up files of clients, and how one has them evaluated."""

from typing import Any

import httpx

from tests.services import eventually

CSV = {"Content-Type": "text/csv"}
HEADER = "nome;saldo_devedor;compras;saques;limite_de_credito;pagamentos"


def csv_of(*lines: str, header: str = HEADER) -> bytes:
    """Make a file as spreadsheets in Brazil write it."""
    return "\r\n".join([header, *lines, ""]).encode()


def clients(count: int, bad_every: int = 0) -> bytes:
    """Make a file of so many clients, named by their line; each bad_every-th is faulty."""
    return csv_of(
        *(
            _line(number, faulty=bad_every > 0 and number % bad_every == 0)
            for number in range(2, count + 2)
        )
    )


def spreadsheet(count: int, bad_every: int) -> bytes:
    """Make the file of as many clients that a Brazilian spreadsheet saves: money with its sign."""
    header = "Nome;Saldo devedor;Compras;Saques;Limite de crédito;Pagamentos"
    lines = (
        f"Conceição {number};{'#N/D' if number % bad_every == 0 else ' R$ 1.234,50 '};"
        f" R$ -   ;R$ {number % 500},00;R$ 3.000,00; R$ 100,00 "
        for number in range(2, count + 2)
    )
    return csv_of(*lines, header=header).decode().encode("cp1252")


def send(
    http: httpx.Client,
    content: Any,  # noqa: ANN401 - bytes or pieces
    name: str = "clientes.csv",
    **query: str,
) -> dict[str, Any]:
    """Upload a file; return what is told of it once its worker, however busy, looked at it."""
    return checked(http, upload(http, content, name, **query))


def upload(
    http: httpx.Client,
    content: Any,  # noqa: ANN401 - bytes or pieces
    name: str = "clientes.csv",
    **query: str,
) -> dict[str, Any]:
    """Upload a file; return what is answered, whether or not somebody looked at it."""
    answer = http.post("/lotes", params={"nome": name, **query}, content=content, headers=CSV)
    assert answer.status_code == 201, answer.text
    batch: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/lotes/{batch['id']}"
    return batch


def checked(http: httpx.Client, batch: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of it once it was looked at."""
    eventually(lambda: look(http, batch)["situacao"] != "conferindo", 60)
    return look(http, batch)


def step(http: httpx.Client, batch: dict[str, Any], name: str) -> dict[str, Any]:
    """Start, pause, resume or cancel; return what is told of it then."""
    told: dict[str, Any] = http.post(f"/lotes/{batch['id']}/{name}").raise_for_status().json()
    return told


def look(http: httpx.Client, batch: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of it."""
    told: dict[str, Any] = http.get(f"/lotes/{batch['id']}").raise_for_status().json()
    return told


def done(http: httpx.Client, batch: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of it once it is over."""
    eventually(lambda: look(http, batch)["situacao"] == "concluido", 120)
    return look(http, batch)


def _line(number: int, *, faulty: bool) -> str:
    balance = "mil" if faulty else f"{100 + number % 3000},50"
    return f"Cliente {number};{balance};{number * 7 % 4000};{number * 3 % 500};3.000,00;{number}"
