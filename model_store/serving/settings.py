"""The model service's own settings, from the environment, or one sentence why not."""

import logging
import os
import re
from typing import Final

from bentoml.exceptions import BentoMLException

from model_store.serving import admission

logger = logging.getLogger("bentoml.model")

_PREFIX: Final = "MODEL_SERVICE_"
_NAMES: Final = frozenset({"WORKERS", "ALLOWED_HOSTS", "TOKEN", "TOKEN_OPTIONAL", "SHORTCUTS"})
_MOST_WORKERS: Final = 64
_SHORTEST_TOKEN: Final = 32
_LOOPBACK: Final = frozenset(admission.LOOPBACK.split(","))
#: As it stands in a Host header, the port apart.
_HOST: Final = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)


def name_unknown() -> None:
    """Log which variables look like settings of this service, and set nothing."""
    ours = (name for name in os.environ if name.startswith(_PREFIX))
    if mistyped := sorted(name for name in ours if name.removeprefix(_PREFIX) not in _NAMES):
        logger.warning("unknown settings: %s", " ".join(mistyped))


def workers() -> int:
    """Return how many processes serve, from MODEL_SERVICE_WORKERS. Raises BentoMLException."""
    text = os.environ.get("MODEL_SERVICE_WORKERS", "1")
    if text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_WORKERS:
        return int(text)
    raise BentoMLException(
        f"MODEL_SERVICE_WORKERS must be a number from 1 to {_MOST_WORKERS}, and is {text!r}."
    )


def allowed_hosts() -> list[str]:
    """Return the names by which callers may know this service. Raises BentoMLException."""
    text = os.environ.get("MODEL_SERVICE_ALLOWED_HOSTS", admission.LOOPBACK)
    names = text.split(",")
    if all(_HOST.fullmatch(name.strip()) for name in names):
        return names
    raise BentoMLException(
        "MODEL_SERVICE_ALLOWED_HOSTS must be names such as model,localhost, without ports,"
        f" and is {text!r}."
    )


def callers() -> admission.Callers:
    """Return who may ask, from MODEL_SERVICE_TOKEN and _TOKEN_OPTIONAL. Raises BentoMLException."""
    token = os.environ.get("MODEL_SERVICE_TOKEN", "")
    optional = _is_on("MODEL_SERVICE_TOKEN_OPTIONAL", default="off")
    if token and len(token) < _SHORTEST_TOKEN:
        raise BentoMLException(
            f"MODEL_SERVICE_TOKEN must be {_SHORTEST_TOKEN} characters or more, and is shorter."
        )
    if not token and not optional and not _LOOPBACK.issuperset(allowed_hosts()):
        raise BentoMLException(
            "MODEL_SERVICE_TOKEN must be set, here and for the evaluation service, where others"
            " than this machine may ask; or MODEL_SERVICE_TOKEN_OPTIONAL=on, for an update."
        )
    return admission.Callers(token.encode() or None, optional or not token)


def has_shortcuts() -> bool:
    """Tell whether BentoML is tuned, from MODEL_SERVICE_SHORTCUTS. Raises BentoMLException."""
    return _is_on("MODEL_SERVICE_SHORTCUTS", default="on")


def _is_on(variable: str, default: str) -> bool:
    text = os.environ.get(variable, default)
    if text in {"on", "off"}:
        return text == "on"
    raise BentoMLException(f"{variable} must be on or off, and is {text!r}.")
