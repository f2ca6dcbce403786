"""The policy's file: what is wrong is named with its line, and any change is another version."""

from pathlib import Path

import pytest

from evaluation_api.decision import policy_file
from evaluation_api.decision.earlier_policy import ProfilePolicy
from evaluation_api.decision.errors import PolicyError
from tests.evaluations import EARLIER_TEXT, POLICY, POLICY_TEXT


def line_of(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize(
    ("right", "wrong", "at", "reason"),
    [
        ('decisao = "recusado"', 'decisao = "talvez"', "talvez", "não é uma de"),
        ('decisao = "recusado"', "decisao = 1", "decisao = 1", "deve ser uma decisão"),
        ('chave = "saldo_alto"', 'chave = " "', 'chave = " "', "vazio"),
        ('chave = "saldo_alto"', "", "[perfis.0]", "falta"),
        ('nome = "Uso baixo"', "nome = 3", "nome = 3", "deve ser um texto"),
        ("uso_alto = 0.60", "uso_alto = 0", "uso_alto = 0", "de 0.0001 a 2"),
        ("uso_alto = 0.60", "uso_alto = 0.60005", "uso_alto = 0.60005", "quatro casas"),
        ("pouco_pago = 0.50", "pouco_pagos = 0.50", "[fatos]", "falta"),
        ("saques = 0.22", "saques = 21", "saques = 21", "de 0.0001 a 20"),
        ("decisao_se_ruim", "decisao_se_ruin", "decisao_se_ruin", "não é uma chave"),
        (
            "[faixa]",
            '[promessa]\nmodelos_aceitos = ["1a"]\n[faixa]',
            "modelos_aceitos",
            "64 dígitos",
        ),
        ("[faixa]", "[promessa]\nmodelos_aceitos = [1]\n[faixa]", "modelos_aceitos", "de textos"),
        ("[perfis.4]", "[perfis.5]", "", "perfis.4: falta"),
        ("[perfis.4]", '[perfis.5]\nchave = "e"\n[perfis.4]', "[perfis.5]", "não é uma chave"),
        ("vigente_desde = 2026-11-26", 'vigente_desde = "ontem"', "vigente_desde", "uma data"),
        ("desde = 2026-11-26", "desde = 2026-11-26T10:00:00", "vigente_desde", "sem a hora"),
        ("minima = 0.05", "minima = 0.51", "confianca_minima", "de 0 a 0.5"),
        ("minima = 0.05", "minima = -0.1", "confianca_minima", "de 0 a 0.5"),
        ("minima = 0.05", "minima = nan", "confianca_minima", "de 0 a 0.5"),
        ("minima = 0.05", "minima = true", "confianca_minima", "de 0 a 0.5"),
        ("compras = 10", 'compras = "dez"', 'compras = "dez"', "um número"),
        ("compras = 10", "compas = 10", "compas", "não é uma chave"),
        ("compras = 10", "compras = inf", "compras = inf", "um número de"),
        ("[fronteira]", "[fronteiras]", "", "falta"),
        ("[faixa.maximo]", "[faixa.maximos]", "[faixa]", "falta"),
        ("[perfis.0]", "extra = 1\n[perfis.0]", "extra = 1", "não é uma chave"),
    ],
)
def test_a_mistake_is_named_with_its_line(right: str, wrong: str, at: str, reason: str) -> None:
    text = POLICY_TEXT.replace(right, wrong, 1)

    with pytest.raises(PolicyError, match=reason) as refused:
        policy_file.parse(text)

    line = line_of(text, at) if at else 1
    assert str(refused.value).startswith(f"linha {line}: ")


@pytest.mark.parametrize(
    ("text", "section"),
    [(POLICY_TEXT, "[faixa]"), (EARLIER_TEXT, "[fronteira]"), (EARLIER_TEXT, "[faixa]")],
)
def test_a_doubtful_client_can_not_be_approved_by_any_policy(text: str, section: str) -> None:
    start = text.index(section)
    text = text[:start] + text[start:].replace("analise_manual", "aprovado", 1)

    with pytest.raises(PolicyError, match="'aprovado' não é uma de"):
        policy_file.parse(text)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("= 1", "linha 2, coluna 1: espera-se um nome"),
        ("uso = 0,60", "linha 2, coluna 8: o valor acaba aqui, e a linha não: escreva decimais"),
        ("uso: 0.60", "linha 2, coluna 4: espera-se = depois do nome"),
        ("nome = “Padrão”", "linha 2, coluna 8: espera-se um valor"),
        ('frase = "Padrão\n', "linha 2, coluna 16: o texto não fecha as aspas"),
        ('frase = "Padrão', "fim do arquivo: o texto não fecha as aspas"),
        ('frase = "C:\\Padrão"', ": em um texto, escreva a barra invertida"),
        ("[fatos\n", "linha 2, coluna 7: o nome da tabela não fecha"),
        ("lista = [1\nx = 2", "linha 3, coluna 1: a lista aberta acima não fecha"),
        ("nome = 2\n", "este nome já foi usado acima"),
        ("[a]\n[a]\n", "linha 3, coluna 3: este nome já foi usado acima"),
        ('frase = "\\uD800"', "linha 2, coluna 16: Escaped character"),
        (f"lista = {'[' * 5000}{']' * 5000}", "umas dentro das outras demais"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place_and_what_to_write(wrong: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        policy_file.parse(f'nome = "a"\n{wrong}')

    assert said in str(refused.value)


def test_any_other_character_is_another_version() -> None:
    versions = {
        policy_file.parse(text).version
        for text in (POLICY_TEXT, POLICY_TEXT + "\n", POLICY_TEXT.replace("2026", "2025", 1))
    }

    assert len(versions) == 3


def test_the_same_text_is_the_same_version_wherever_it_stands(tmp_path: Path) -> None:
    copy = tmp_path / "outra.toml"
    copy.write_text(POLICY_TEXT, encoding="utf-8")

    assert policy_file.read(copy) == (POLICY, POLICY_TEXT)
    copy.write_text(POLICY_TEXT, encoding="utf-8-sig")
    assert policy_file.read(copy) == (POLICY, POLICY_TEXT)


def test_a_changed_decision_is_obeyed() -> None:
    changed = policy_file.parse(EARLIER_TEXT.replace('"recusado"', '"aprovado"'))

    assert changed.targets == (0, 1, 3, 4)


def test_a_policy_of_the_grammar_before_is_read_as_the_version_that_it_was() -> None:
    policy = policy_file.parse(EARLIER_TEXT)

    assert isinstance(policy, ProfilePolicy)
    assert policy.version == "5aa45089f862"


@pytest.mark.parametrize("position", range(5))
def test_a_case_that_is_decided_otherwise_stops_the_start_with_its_line(position: int) -> None:
    cases = POLICY_TEXT.index("[[casos]]")
    lines = POLICY_TEXT[:cases], POLICY_TEXT[cases:].split("decisao = ")
    expected = {"aprovado": "recusado", "recusado": "aprovado", "analise_manual": "aprovado"}
    before, after = lines[1][: position + 1], lines[1][position + 1 :]
    right = after[0].split('"')[1]
    after[0] = after[0].replace(right, expected[right])
    text = lines[0] + "decisao = ".join([*before, *after])
    line = (lines[0] + "decisao = ".join(before)).count("\n") + 1

    with pytest.raises(PolicyError, match=f"^linha {line}: casos.decisao: .* decide {right}"):
        policy_file.parse(text)


def test_cases_are_written_one_by_one() -> None:
    text = f"{POLICY_TEXT[: POLICY_TEXT.index('[[casos]]')]}[casos]\nperfil = 1"

    with pytest.raises(PolicyError, match=r"casos: deve ser escrito como \[\[casos\]\]"):
        policy_file.parse(text)


def test_a_client_of_a_case_has_a_limit() -> None:
    text = POLICY_TEXT.replace("limite_de_credito = 1000", "limite_de_credito = 0", 1)

    with pytest.raises(PolicyError, match=r"casos\.limite_de_credito: deve ser maior que zero"):
        policy_file.parse(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("# Política\n".encode("utf-16"), "linha 1: não está em UTF-8; salve o arquivo de novo"),
        ('# Uso\nnome = "Política"\n'.encode("cp1252"), "linha 2: não está em UTF-8; salve"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "politica.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(PolicyError, match=rf"politica\.toml: {said}"):
        policy_file.read(path)
