"""A clerk has a file of clients evaluated."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from evaluation_api.runtime.identity import new_id
from tests.client_files import HEADER, csv_of, spreadsheet
from tests.e2e import clerk
from tests.e2e.conftest import Opener

pytestmark = pytest.mark.browser


def test_a_file_is_shown_as_read_and_evaluated_only_when_asked_for(page: Page) -> None:
    clerk.ready(page)

    preview = page.locator("[data-preview]")
    expect(preview).to_contain_text("ponto e vírgula")
    expect(preview).to_contain_text("vírgula, como 1.234,56")
    expect(preview).to_contain_text("Bruno <script>alert(1)</script>")
    clerk.in_state(page, "Pronto para começar · 5 linhas")

    clerk.start(page)
    clerk.in_state(page, "Concluído")
    expect(page.locator("[data-progress]")).to_contain_text("5 de 5")
    expect(page.locator("[data-plot-decisions]")).to_contain_text("Aprovado")
    expect(page.locator("[data-plot-profiles]")).to_contain_text("Compras altas")
    expect(page.locator("[data-status]")).to_have_text(
        "clientes de março.csv: concluído, 3 linhas com decisão e 2 linhas com erro."
    )


def test_a_bar_is_as_long_as_its_share_and_progress_is_seen_in_forced_colours(page: Page) -> None:
    clerk.ready(page)
    clerk.start(page)
    clerk.in_state(page, "Concluído")

    bars = page.locator("[data-plot-decisions] li")
    words = [text.rpartition("· ")[2] for text in bars.locator(".bars-count").all_inner_texts()]
    widths = [rect.get_attribute("width") or "" for rect in bars.locator(".bar-value").all()]
    assert sorted(words) == ["0%", "33%", "67%"]
    assert [f"{float(width[:-1]):.0f}%" for width in widths] == words

    page.emulate_media(forced_colors="active")
    progress = page.locator("progress")
    full = progress.screenshot()
    progress.evaluate("bar => { bar.value = 0.3; }")
    assert progress.screenshot() != full
    page.emulate_media(forced_colors="none")


def test_the_result_names_every_line_and_leads_to_its_evaluation(
    page: Page, tmp_path: Path
) -> None:
    clerk.ready(page)
    clerk.start(page)
    clerk.in_state(page, "Concluído")

    rows = clerk.result(page, tmp_path)

    assert [row["linha"] for row in rows] == ["2", "3", "4", "5", "6"]
    assert [row["erro_campo"] for row in rows] == ["", "", "saldo_devedor", "", "nome"]
    page.goto(f"/historico.html?id={rows[1]['id']}")
    expect(page.locator("[data-client]")).to_have_text("Bruno <script>alert(1)</script>")
    expect(page.locator("[data-answer]")).to_contain_text("Recusado")


def test_a_brazilian_spreadsheet_of_a_thousand_clients_names_its_fifty_bad_lines(
    page: Page, tmp_path: Path
) -> None:
    clerk.choose(page, spreadsheet(1_000, bad_every=20), "clientes de maio.csv")
    clerk.send(page)
    expect(page.locator("[data-preview]")).to_contain_text("Latin-1 (Windows-1252)")
    clerk.start(page)
    clerk.in_state(page, "Concluído · 1.000 linhas")

    expect(page.locator("[data-progress]")).to_contain_text("Com decisão950Com erro50")
    rows = clerk.result(page, tmp_path)
    bad = {row["linha"]: row["erro_campo"] for row in rows if row["erro_motivo"]}
    assert bad == {str(number): "Saldo devedor" for number in range(20, 1_001, 20)}
    assert {row["decisao"] != "" for row in rows if not row["erro_motivo"]} == {True}


def test_a_file_may_be_dropped_anywhere_on_the_page(page: Page) -> None:
    page.goto("/lote.html")
    clerk.drop(page, "main")
    expect(page.locator("[data-upload]")).to_be_focused()
    expect(page.locator("[data-status]")).to_have_text("Arquivo escolhido: clientes.csv.")

    page.keyboard.press("Enter")
    clerk.in_state(page, "Pronto para começar · 5 linhas")


def test_one_file_is_sent_at_a_time(page: Page) -> None:
    page.goto("/lote.html")
    clerk.drop(page, "main", files=2)
    clerk.send(page)

    expect(page.locator("[data-error-summary]")).to_contain_text("Envie um arquivo de cada vez.")


def test_a_file_without_a_column_says_which(page: Page) -> None:
    header = "nome;compras;saques;limite;sexo;cidade"
    clerk.choose(page, csv_of("Ana;1;2;3;4;5", header=header))
    clerk.send(page)

    clerk.in_state(page, "Com perguntas")
    for words in ("Faltam as colunas “saldo_devedor”, “pagamentos”", "“sexo”"):
        expect(page.locator("[data-questions]")).to_contain_text(words)


def test_without_a_file_the_form_asks_for_one(page: Page) -> None:
    page.goto("/lote.html")
    clerk.send(page)

    expect(page.locator("[data-error-summary]")).to_contain_text("Escolha um arquivo.")


def test_a_batch_is_paused_found_again_after_a_reload_and_cancelled(
    open_page: Opener, site_without_model: str
) -> None:
    page = open_page(site_without_model)
    clerk.ready(page)
    clerk.start(page)
    clerk.in_state(page, "Em andamento")

    page.click("[data-pausar]")
    clerk.in_state(page, "Pausado")
    page.reload()
    clerk.in_state(page, "Pausado")
    page.click("[data-retomar]")
    clerk.in_state(page, "Em andamento")
    page.once("dialog", lambda question: question.dismiss())
    page.click("[data-cancelar]")
    clerk.in_state(page, "Em andamento")
    page.once("dialog", lambda question: question.accept())
    page.click("[data-cancelar]")
    clerk.in_state(page, "Cancelado")
    page.click(".back a")
    expect(page.locator("[data-earlier-batch]").first).to_contain_text("Cancelado")


def test_who_starts_a_file_that_somebody_has_started_is_shown_how_far_it_is(
    open_page: Opener, site_without_model: str
) -> None:
    page = open_page(site_without_model, first_visit=True)
    clerk.ready(page)
    file_id = page.url.partition("id=")[2]
    httpx.post(f"{site_without_model}/lotes/{file_id}/iniciar").raise_for_status()

    clerk.start(page)

    clerk.in_state(page, "Em andamento")
    expect(page.locator("[data-batch-problem]")).to_be_empty()


def test_of_a_file_that_is_gone_nothing_stays_on_the_page(
    open_page: Opener, site_without_model: str
) -> None:
    page = open_page(site_without_model, first_visit=True)
    clerk.ready(page)
    clerk.start(page)
    clerk.in_state(page, "Em andamento")

    gone = httpx.get(f"{site_without_model}/lotes/{new_id()}")
    page.route("**/lotes/*", lambda route: route.fulfill(status=404, body=gone.text))

    expect(page.locator("[data-batch-problem]")).to_contain_text("Arquivo não encontrado")
    expect(page.locator("main section:visible")).to_have_count(0)
    expect(page.locator("[data-batch-state]")).to_have_text("")


def test_columns_of_other_names_are_chosen_once_and_the_file_started(
    page: Page, tmp_path: Path
) -> None:
    clerk.choose(page, clerk.exported(), "carteira.csv")
    clerk.send(page)
    clerk.in_state(page, "Com perguntas")
    expect(page.locator("[data-preview]")).to_contain_text("C10001")
    clerk.use_choices(page)
    expect(page.locator("[data-error-summary]:focus")).to_contain_text("Escolha a coluna.")

    page.select_option("#campo-nome", "CUST_ID")
    page.select_option("#campo-saldo_devedor", "OWED")
    clerk.use_choices(page)

    clerk.in_state(page, "Pronto para começar · 3 linhas")
    expect(page.locator("[data-batch-name]")).to_be_focused()
    expect(page.locator("[data-unused]")).to_contain_text("BALANCE_FREQUENCY, TENURE")
    expect(page.locator("[data-preview] tbody tr").first).to_contain_text("R$ 1.040,90")
    clerk.start(page)
    clerk.in_state(page, "Concluído")
    rows = clerk.result(page, tmp_path, ",")
    assert [(row["CUST_ID"], row["TENURE"], row["erro_motivo"]) for row in rows] == [
        ("C10001", "12", ""),
        ("C10002", "11", ""),
        ("C10003", "10", ""),
    ]

    clerk.choose(page, clerk.exported(first=10_004), "carteira de maio.csv")
    clerk.send(page)
    clerk.in_state(page, "Pronto para começar · 3 linhas")


def test_what_was_understood_wrongly_is_changed_before_the_start(page: Page) -> None:
    clerk.choose(page, csv_of("Ana;10,50;2;3;1000;5;99,00;x", header=f"{HEADER};saldo de maio;y"))
    clerk.send(page)
    clerk.in_state(page, "Pronto para começar")
    page.click("[data-changes] summary")
    page.select_option("#campo-saldo_devedor", "compras")
    clerk.use_choices(page)
    expect(page.locator("[data-error-summary]:focus")).to_contain_text("mais de uma vez")

    page.select_option("#campo-saldo_devedor", "saldo de maio")
    clerk.use_choices(page)

    expect(page.locator("[data-preview] tbody tr").first).to_contain_text("R$ 99,00")
    expect(page.locator("[data-unused]")).to_contain_text("saldo_devedor, y")


def test_a_decimal_mark_is_asked_for_with_examples_and_answered_once(page: Page) -> None:
    content = csv_of("Ana,1.234,2.500,0,5.000,1.000", header=HEADER.replace(";", ","))
    clerk.choose(page, content, "parceiro.csv")
    clerk.send(page)
    clerk.in_state(page, "Com perguntas")
    expect(page.get_by_label("Vírgula: 1.234 é R$ 1.234,00; 2.500 é")).to_be_visible()
    expect(page.get_by_label("Ponto: 1.234 é R$ 1,23; 2.500 é R$ 2,50")).to_be_visible()
    clerk.use_choices(page)
    expect(page.locator("[data-error-summary]:focus")).to_contain_text("vírgula ou ponto")

    page.check("#decimais-virgula")
    clerk.use_choices(page)

    clerk.in_state(page, "Pronto para começar")
    expect(page.locator("[data-preview] tbody tr").first).to_contain_text("R$ 1.234,00")


def test_faulty_lines_are_named_before_the_start_taken_mended_and_sent_again(
    page: Page, tmp_path: Path
) -> None:
    clerk.ready(page)
    faults = page.locator("[data-faults]")
    for words in ("1 linha · saldo_devedor: Escreva um número", "mil", "Preencha este campo"):
        expect(faults).to_contain_text(words)
    progress = page.locator("[data-progress]")
    expect(progress).to_contain_text("Serão avaliadas3Com erro, ficam de fora2")
    with page.expect_download() as download:
        page.click("[data-faults-file]")
    assert download.value.suggested_filename == "erros-clientes de março.csv"
    path = tmp_path / "erros.csv"
    download.value.save_as(path)
    mended = path.read_bytes().replace(b'"mil"', b'"1000"').replace(b'"";"6"', b'"Enzo";"6"')

    page.click("text=Enviar as corrigidas")
    page.wait_for_url("**/lote.html")
    clerk.choose(page, mended, "erros-clientes de março.csv")
    clerk.send(page)

    clerk.in_state(page, "Pronto para começar · 2 linhas")
    expect(page.locator("[data-faults]")).to_be_hidden()
    clerk.start(page)
    clerk.in_state(page, "Concluído")
    expect(progress).to_contain_text("Com decisão2Com erro0")


def test_a_row_of_totals_is_pointed_at_before_the_start(page: Page) -> None:
    clerk.choose(page, csv_of("Ana;1;2;3;4;5", "TOTAL GERAL;1;2;3;4;5"))
    clerk.send(page)

    expect(page.locator("[data-faults]")).to_contain_text("Parece uma linha de totais")


def test_a_file_that_may_have_been_cut_is_warned_of_before_the_start(page: Page) -> None:
    shown = page.locator("[data-progress]")
    for content, is_warned in ((clerk.fresh() + b"\r\n", False), (clerk.fresh(), True)):
        clerk.choose(page, content)
        clerk.send(page)
        clerk.in_state(page, "Pronto para começar")
        expect(shown.get_by_role("heading", name="Antes de começar")).to_have_count(int(is_warned))


def test_the_same_file_again_names_who_was_decided_and_decides_only_who_is_new(page: Page) -> None:
    content = clerk.fresh()
    for expected in ("Serão avaliadas3", "Serão avaliadas0"):
        clerk.choose(page, content)
        clerk.send(page)
        expect(page.locator("[data-progress]")).to_contain_text(expected)
        if page.locator("[data-iniciar]").is_visible():
            clerk.start(page)
            clerk.in_state(page, "Concluído")
    progress = page.locator("[data-progress]")
    expect(progress).to_contain_text("Não há nada novo a avaliar")
    expect(progress).to_contain_text("3 linhas com clientes já avaliados")
    expect(progress.get_by_role("link", name="clientes de março.csv")).to_be_visible()
    expect(page.locator("[data-iniciar]")).to_have_count(0)

    page.click("[data-repeated]")
    expect(progress).to_contain_text("Todos os clientes serão avaliados")
    expect(page.locator("[data-iniciar]")).to_be_visible()
    page.click("[data-repeated]")
    expect(progress).to_contain_text("Serão avaliadas0")

    clerk.choose(page, content + b"\r\n" + content.splitlines()[1].replace(b"Ana", b"Zoe"))
    clerk.send(page)
    expect(progress).to_contain_text("Serão avaliadas1")
    expect(progress).to_contain_text("por exemplo no arquivo")


def test_that_nobody_works_on_files_is_said_at_once(
    open_page: Opener, site_without_worker: str
) -> None:
    page = open_page(site_without_worker)
    page.goto("/lote.html")
    expect(page.locator("[data-earlier]")).to_contain_text("está parado")
    clerk.choose(page)
    clerk.send(page)
    page.wait_for_url("**id=*")

    expect(page.locator("[data-progress]")).to_contain_text("está parado")
    expect(page.locator("[data-status]")).to_contain_text("está parado")
    page.once("dialog", lambda question: question.accept())
    page.click("[data-cancelar]")
    clerk.in_state(page, "Cancelado")


def test_a_file_is_evaluated_by_keyboard_alone(page: Page) -> None:
    clerk.choose(page)
    page.focus("#arquivo")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("[data-batch-name]")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("[data-iniciar]")).to_be_focused()
    page.keyboard.press("Enter")

    clerk.in_state(page, "Concluído")
    expect(page.locator("[data-result]")).to_be_focused()


def test_the_template_can_be_sent_as_it_is(page: Page, tmp_path: Path) -> None:
    page.goto("/lote.html")
    with page.expect_download() as download:
        page.click("[data-template] a")
    path = tmp_path / "modelo.csv"
    download.value.save_as(path)

    clerk.choose(page, path.read_bytes())
    clerk.send(page)
    clerk.in_state(page, "Pronto para começar · 2 linhas")
