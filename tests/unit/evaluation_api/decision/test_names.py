"""Names that people have, and as others write them who look for them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis.strategies import text

from evaluation_api.decision.names import fold, search_words

FOUND = [
    ("José", "jose"),
    ("Jose", "JOSÉ"),
    ("José", unicodedata.normalize("NFD", "José")),
    ("JOÃO DA CONCEIÇÃO", "joão conceição"),
    ("Maria Aparecida", "Aparecida  Maria"),
    ("Maria  Aparecida", "maria aparecida"),
    ("Maria\N{NO-BREAK SPACE}Aparecida", "maria aparecida"),
    ("Maria Aparecida", "cida"),
    ("Silva, Ana", "ana silva"),
    ("Luís d’Ávila", "d'avila"),
    ("Luís d'Ávila", "d’Ávila"),
    ("Luís d´Ávila", "d`avila"),
    ("Luís d’Ávila", "davila"),
    ("Luís d’Ávila", "d avila"),
    ("Luís Davila", "d'ávila"),
    ("Luís D Avila", "d'avila"),
    ("Conan O\N{MODIFIER LETTER APOSTROPHE}Brien", "o'brien"),
    ("Ana-Maria", "ana maria"),
    ("Ana-Maria", "anamaria"),
    ("Ana Maria", "ana-maria"),
    ("Ana\N{NON-BREAKING HYPHEN}Maria", "ana-maria"),
    ("Ana\N{EN DASH}Maria", "ana maria"),
    ("Ana\N{SOFT HYPHEN}Maria", "anamaria"),
    ("J.R. Guimarães", "jr guimaraes"),
    ("J. R. Guimarães", "J.R."),
    ("Łukasz Żak", "lukasz zak"),
    ("Øyvind Åse", "oyvind ase"),
    ("Işık Yıldız", "isik yildiz"),
    ("ISIK", "ışık"),
    ("İbrahim", "ibrahim"),
    ("Đorđe", "dorde"),
    ("Nguyễn Thị Hương", "nguyen thi huong"),
    ("Straße", "STRASSE"),
    ("Æsa Þórsdóttir", "aesa thorsdottir"),
    ("Œuvrard", "oeuvrard"),
    ("Ştefan Țepeș", "stefan tepes"),
    ("Ｊｏｓé", "jose"),
    ("Σωκράτης", "ΣΩΚΡΑΤΗΣ"),
    ("Артём", "артем"),
    ("김민수", "민수"),
    ("मोहन", "मोहन"),
    ("Grupo 3 Irmãos", "3 irmaos"),
]


@pytest.mark.parametrize(("recorded", "sought"), FOUND)
def test_a_name_is_found_as_people_write_it(recorded: str, sought: str) -> None:
    assert _finds(sought, recorded)


@pytest.mark.parametrize(
    ("recorded", "sought"), [("Ana Maria", "mariana"), ("Maria", "maria ana"), ("Ana", "anna")]
)
def test_a_name_that_lacks_a_word_is_not_found(recorded: str, sought: str) -> None:
    assert not _finds(sought, recorded)


@given(text())
def test_whatever_is_recorded_is_found_by_itself_and_in_every_form(name: str) -> None:
    folded = fold(name)

    assert fold(folded) == folded
    assert {fold(unicodedata.normalize(form, name)) for form in ("NFC", "NFD")} == {folded}
    assert _finds(name, name)


@given(text())
def test_what_is_sought_is_letters_and_figures_which_no_pattern_of_sql_takes_for_its_own(
    sought: str,
) -> None:
    assert all(word.isalnum() for word in search_words(sought))


def _finds(sought: str, recorded: str) -> bool:
    return all(word in fold(recorded) for word in search_words(sought))
