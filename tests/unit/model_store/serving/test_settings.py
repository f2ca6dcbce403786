"""The model service's settings, each refused by its name."""

from collections.abc import Callable

import pytest
from bentoml.exceptions import BentoMLException

from model_store.serving import settings
from model_store.serving.admission import Callers


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("MODEL_SERVICE_WORKERS", "", settings.workers),
        ("MODEL_SERVICE_WORKERS", "0", settings.workers),
        ("MODEL_SERVICE_WORKERS", "65", settings.workers),
        ("MODEL_SERVICE_WORKERS", "two", settings.workers),
        ("MODEL_SERVICE_SHORTCUTS", "no", settings.has_shortcuts),
        ("MODEL_SERVICE_TOKEN_OPTIONAL", "yes", settings.callers),
        ("MODEL_SERVICE_ALLOWED_HOSTS", "", settings.allowed_hosts),
        ("MODEL_SERVICE_ALLOWED_HOSTS", "localhost,", settings.allowed_hosts),
        ("MODEL_SERVICE_ALLOWED_HOSTS", "model:8001", settings.allowed_hosts),
        ("MODEL_SERVICE_ALLOWED_HOSTS", "http://model", settings.allowed_hosts),
    ],
)
def test_what_a_setting_cannot_be_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, read: Callable[[], object]
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(BentoMLException, match=rf"^{variable} must be .*, and is '{value}'\.$"):
        read()


def test_settings_have_their_defaults_and_their_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MODEL_SERVICE_WORKERS", "MODEL_SERVICE_SHORTCUTS"):
        monkeypatch.delenv(variable, raising=False)
    assert (settings.workers(), settings.has_shortcuts()) == (1, True)

    monkeypatch.setenv("MODEL_SERVICE_WORKERS", "64")
    monkeypatch.setenv("MODEL_SERVICE_SHORTCUTS", "off")
    assert (settings.workers(), settings.has_shortcuts()) == (64, False)


def test_a_setting_that_nobody_reads_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for variable in ("MODEL_SERVICE_TOKEN", "MODEL_SERVICE_WORKER", "MODEL_SERVICE_TOKN"):
        monkeypatch.setenv(variable, "2")

    settings.name_unknown()

    assert caplog.messages == ["unknown settings: MODEL_SERVICE_TOKN MODEL_SERVICE_WORKER"]


TOKEN = "of the evaluation service and the worker"  # noqa: S105 - of nothing


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Callers(None, may_be_unnamed=True)),
        ({"MODEL_SERVICE_TOKEN": TOKEN}, Callers(TOKEN.encode(), may_be_unnamed=False)),
        (
            {"MODEL_SERVICE_TOKEN": TOKEN, "MODEL_SERVICE_TOKEN_OPTIONAL": "on"},
            Callers(TOKEN.encode(), may_be_unnamed=True),
        ),
        (
            {"MODEL_SERVICE_ALLOWED_HOSTS": "model", "MODEL_SERVICE_TOKEN_OPTIONAL": "on"},
            Callers(None, may_be_unnamed=True),
        ),
        ({"MODEL_SERVICE_ALLOWED_HOSTS": "model"}, "MODEL_SERVICE_TOKEN must be set"),
        ({"MODEL_SERVICE_TOKEN": "short"}, "32 characters or more"),
    ],
)
def test_others_than_this_machine_ask_with_a_token_unless_the_operator_allows_it(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: Callers | str
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)

    if isinstance(expected, str):
        with pytest.raises(BentoMLException, match=expected):
            settings.callers()
    else:
        assert settings.callers() == expected
