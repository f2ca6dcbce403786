"""The model service's own settings, from the environment, or one sentence why not."""

import os
import re
from typing import Final

from bentoml.exceptions import BentoMLException

from model_store.serving import admission

_MOST_WORKERS: Final = 64
#: As it stands in a Host header, the port apart.
_HOST: Final = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)


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


def has_shortcuts() -> bool:
    """Tell whether BentoML is tuned, from MODEL_SERVICE_SHORTCUTS. Raises BentoMLException."""
    text = os.environ.get("MODEL_SERVICE_SHORTCUTS", "on")
    if text in {"on", "off"}:
        return text == "on"
    raise BentoMLException(f"MODEL_SERVICE_SHORTCUTS must be on or off, and is {text!r}.")
