"""The golden contract: whole answers, compared literally."""

import json
from dataclasses import replace

from pydantic import TypeAdapter

from evaluation_api.decision.domain import Counterfactual, Outcome, Prediction, Recorded, Review
from evaluation_api.web import answers
from evaluation_api.web.contract import Avaliacao
from tests.evaluations import (
    MODEL,
    NOON,
    POLICY,
    USAGE,
    decided_entry,
    evaluation,
    pending_entry,
    prediction,
    usage,
)

ID = "01a203b4-6136-73cb-a890-819b3cc1d838"
DESCRIBED = TypeAdapter(Avaliacao)


def test_the_golden_answer() -> None:
    change = Counterfactual("balance", 406.0, cluster=3, confidence=0.0501)
    refused = evaluation(
        prediction(0, 0.31, (change,)),
        usage(balance=3126.0, payments=1233.0),
        evaluation_id=ID,
        name='M"aria',
    )

    assert json.loads(answers.answer(refused, POLICY)) == {
        "nome": 'M"aria',
        "cluster": 0,
        "resposta": (
            "Pedido não aprovado pela política de crédito. O cliente usa 81,1% do limite de crédito"
            " e pagou 39,4% do saldo devedor. Perfil “Saldo alto”. Neste perfil o saldo devedor"
            " pesa mais do que nos outros."
        ),
        "id": ID,
        "decisao": "recusado",
        "perfil": {"cluster": 0, "chave": "saldo_alto", "nome": "Saldo alto"},
        "perfil_vizinho": {
            "cluster": 1,
            "chave": "saques_e_pagamentos_altos",
            "nome": "Saques e pagamentos altos",
        },
        "motivos": [
            {
                "campo": campo,
                "rotulo": rotulo,
                "valor": valor,
                "contribuicao": contribuicao,
                "sentido": sentido,
                "frase": frase,
            }
            for campo, rotulo, valor, contribuicao, sentido, frase in [
                (
                    "purchases",
                    "compras",
                    3345.0,
                    0.3,
                    "aproxima",
                    _fits("valor de compras", "3.345"),
                ),
                ("payments", "pagamentos", 1233.0, -0.1, "afasta", _not("pagamentos", "1.233")),
                ("cash_advance", "saques", 147.0, -0.04, "afasta", _not("saques", "147")),
                (
                    "balance",
                    "saldo devedor",
                    3126.0,
                    0.02,
                    "aproxima",
                    _fits("saldo devedor", "3.126"),
                ),
                (
                    "credit_limit",
                    "limite de crédito",
                    3854.0,
                    0.01,
                    "aproxima",
                    _fits("limite de crédito", "3.854"),
                ),
            ]
        ],
        "observacoes": [],
        "confianca": 0.31,
        "simulacao": {
            "campo": "balance",
            "rotulo": "saldo devedor",
            "de": 3126.0,
            "para": 406.0,
            "cluster": 3,
            "perfil": "Uso baixo",
            "frase": (
                "Com saldo devedor de no máximo R$ 406,00, em vez de R$ 3.126,00, e os outros"
                " valores iguais, o pedido seria aprovado."
            ),
            "ate": None,
        },
        "modelo": MODEL.tag,
        "modelo_sha256": MODEL.sha256,
        "politica": POLICY.version,
        "avaliado_em": "2026-11-22T12:00:00.123Z",
        "duracao_ms": 2.142,
        "fatos": [
            {
                "codigo": "uso_do_limite",
                "rotulo": "uso do limite",
                "valor": 81.11,
                "unidade": "%",
                "limite": 60.0,
                "frase": "Deve R$ 3.126,00, 81,1% do limite de R$ 3.854,00.",
            },
            {
                "codigo": "parte_paga",
                "rotulo": "parte paga",
                "valor": 39.44,
                "unidade": "%",
                "limite": 50.0,
                "frase": "Pagou R$ 1.233,00, 39,4% do saldo devedor de R$ 3.126,00.",
            },
            {
                "codigo": "saques",
                "rotulo": "saques em relação ao limite",
                "valor": 3.81,
                "unidade": "%",
                "limite": 22.0,
                "frase": "Sacou R$ 147,00, 3,8% do limite de R$ 3.854,00.",
            },
        ],
        "motivos_principais": [
            {
                "codigo": "uso_alto",
                "campo": "balance",
                "frase": (
                    "O saldo devedor é 81,1% do limite de crédito, acima da referência de 30%."
                ),
                "valor": 81.11,
                "referencia": 30.0,
            },
            {
                "codigo": "pouco_pago",
                "campo": "payments",
                "frase": "Os pagamentos são 39,4% do saldo devedor, abaixo da referência de 50%.",
                "valor": 39.44,
                "referencia": 50.0,
            },
        ],
    }


def test_an_answer_is_of_the_described_type_and_as_pydantic_writes_it() -> None:
    change = Counterfactual("balance", 0.00001, cluster=3, confidence=1e-7)
    texts = evaluation(prediction(0, 5e-324, (change,)), name='É "\\/<&>\u2028\x7f😀')

    for one in (texts, evaluation(prediction(confidence=None)._replace(runner_up=None))):
        given = answers.answer(one, POLICY)

        assert DESCRIBED.dump_json(DESCRIBED.validate_json(given)).decode() == given


def _fits(subject: str, reais: str) -> str:
    return (
        f"O {subject} de R$ {reais},00 combina mais com o perfil “Saldo alto”"
        " do que com “Saques e pagamentos altos”."
    )


def _not(what: str, reais: str) -> str:
    return (
        f"O valor de {what} de R$ {reais},00 combina mais com o perfil “Saques e pagamentos altos”"
        " do que com “Saldo alto”."
    )


def test_sentences_say_shares_of_the_cents_that_were_compared() -> None:
    client = usage(balance=676.7293526381804, credit_limit=1000.0, payments=67.6746912579488)
    answered = json.loads(answers.answer(evaluation(prediction(0), client), POLICY))

    said = [answered["fatos"][1]["frase"], answered["motivos_principais"][1]["frase"]]
    assert said == [
        "Pagou R$ 67,67, 9,9996% do saldo devedor de R$ 676,73.",
        "Os pagamentos são 9,9996% do saldo devedor, abaixo da referência de 10%.",
    ]
    assert "pagou 9,9996% do saldo" in answered["resposta"]


def test_the_original_three_fields_come_first() -> None:
    answer = answers.answer(evaluation(), POLICY)

    assert list(json.loads(answer))[:3] == ["nome", "cluster", "resposta"]


def test_a_model_without_geometry_gives_no_reasons_and_breaks_nothing() -> None:
    bare = evaluation(Prediction(2, MODEL))

    answer = json.loads(answers.answer(bare, POLICY))

    assert (answer["motivos"], answer["confianca"], answer["perfil_vizinho"]) == ([], None, None)
    assert (answer["decisao"], answer["simulacao"]) == ("analise_manual", None)


def test_why_a_person_is_asked_is_said_in_the_policys_words() -> None:
    doubtful = evaluation(prediction(4, 0.01), usage(credit_limit=31_000.0))

    answer = json.loads(answers.answer(doubtful, POLICY))

    assert answer["observacoes"] == [
        POLICY.near.sentence,
        POLICY.training_range.sentence,
        "Limite de crédito de R$ 31.000,00: acima do maior valor do treinamento, R$ 30.000,00.",
    ]


def test_a_record_holds_the_answer_byte_for_byte_and_the_last_review_counts() -> None:
    entry = decided_entry()
    people = tuple(
        Review(f"r{n}", entry.id, outcome, "Renda comprovada.", "Ana", NOON)
        for n, outcome in enumerate([Outcome.REFUSED, Outcome.MANUAL_REVIEW])
    )
    recorded = Recorded(
        id=entry.id,
        received_at=NOON,
        applicant=entry.applicant,
        degraded=False,
        answer=entry.answer,
        outcome=Outcome.APPROVED,
        model_tag=MODEL.tag,
        policy_version=POLICY.version,
        reviews=people,
    )

    shown = answers.recorded(recorded)

    assert entry.answer is not None
    assert entry.answer.encode() in shown
    assert json.loads(shown)["decisao_final"] == "analise_manual"
    assert (
        json.loads(answers.recorded(replace(recorded, reviews=())))["decisao_final"] == "aprovado"
    )


def test_a_pending_record_has_no_decision_yet() -> None:
    entry = pending_entry()
    recorded = Recorded(
        id=entry.id,
        received_at=NOON,
        applicant=entry.applicant,
        degraded=True,
        answer=None,
        model_tag=None,
        policy_version=None,
    )

    shown = json.loads(answers.recorded(recorded))

    assert shown["situacao"] == "pendente"
    assert shown["pedido"]["credit_limit"] == USAGE.credit_limit
    assert (shown["avaliacao"], shown["decisao_final"]) == (None, None)
