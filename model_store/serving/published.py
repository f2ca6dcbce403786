"""The model to serve, as BentoML declares it and as it was imported, or one sentence why not.

BentoML's command line prints a BentoMLException as a sentence, and anything else as a stack trace.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import bentoml
from bentoml.exceptions import BentoMLException

from model_store import publications
from model_store.errors import ModelStoreError
from model_store.serving import predictor
from model_store.serving.live import LiveModel


class PublishedModel(bentoml.models.BentoModel):  # type: ignore[misc]  # BentoML is not typed
    """A version in BentoML's store that opens as what predicts with it."""

    def resolve(self, *_: object, **__: object) -> predictor.ServedModel:
        """Open what is to be served: all of it comes out as it was published, or it is refused.

        Raises BentoMLException.
        """
        with _in_one_sentence():
            return predictor.serve(publications.load(publications.choose()))


def declare() -> PublishedModel:
    """Name the version to serve, without opening it. Raises BentoMLException."""
    with _in_one_sentence():
        return PublishedModel(publications.choose().tag)


def open_live(model: LiveModel) -> None:
    """Open what a worker serves. Raises BentoMLException."""
    with _in_one_sentence():
        model.open()


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except ModelStoreError as exc:
        raise BentoMLException(f"The model service cannot start: {exc}") from exc
