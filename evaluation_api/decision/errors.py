"""What can go wrong, in the words of the business. web/problem_table.py has each one's answer.

EvaluationError
├── InvalidRequestError       what was sent can't be accepted; names every field
├── MalformedJsonError        what was sent is no JSON
├── ModelError                no prediction can be had
│   ├── ModelUnavailableError   not reached, too slow, overloaded or its circuit is open
│   ├── ModelAnswerError        it answered something that is no prediction
│   │   └── ModelRefusalError       it refused one of the clients; which one it does not say
│   └── ModelVersionGoneError   its store no longer has the version that was asked for
├── RecordUnavailableError    the database can't be reached; no decision is given unrecorded
│   ├── RecordBusyError         another process is writing, and waiting for it was not wanted
│   └── RecordUncertainError    it was told to record, and did not say whether it has
├── OverloadedError           more is waiting than can be answered in time
│   └── ManyFilesError          as many files come in, or go out, as may at once
├── EvaluationNotFoundError   no evaluation has that id
├── EvaluationPendingError    it waits for the model, and there is nothing to review yet
├── EvaluationErasedError     the person was taken out of it, and nothing is left to review
├── EvaluationCorrectedError  another evaluation counts in its place, and is the one to review
├── UnseenReviewsError        others have reviewed it since it was looked at
├── UnknownPlaceError         no commit here was given this place: another record's was
├── PolicyNotFoundError       no policy of that version decided here
├── ModelNotMetError          no model of that version answered here
├── ClientFileNotFoundError   no file has that id
├── ClientFileErasedError     a person who came in it was taken out, and the file with them
├── ClientFileStateError      a file's state does not allow what was asked of it
│   └── NoResultError           none of its lines is decided yet
├── FileTooLargeError         a file has more bytes or lines than one may
├── UnidentifiedError         nobody that is known asks
│   └── LinkGoneError           by a one-time address that was used, or is over, or is none
├── ProviderUnavailableError  who people are cannot be asked: the provider is not reached
├── NotAllowedError           who asks has no role for it
│   ├── NoEntryError            the provider's account has no name, or no role, here
│   └── OwnEvaluationError      they made the evaluation that they would review
├── RateExceededError         who asks has asked for too much in a short time
├── IdempotencyKeyReusedError the key was used with another body
├── IdempotencyKeyInFlightError the key's first request is not answered yet
└── PolicyError               the policy file is wrong; names the line and the reason
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evaluation_api.decision.domain import Review


class EvaluationError(Exception):
    """Anything this service refuses or fails to do."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that can't be accepted: an RFC 6901 pointer, and a sentence in Portuguese."""

    pointer: str
    detail: str


class InvalidRequestError(EvaluationError):
    """What was sent can't be accepted."""

    def __init__(self, fields: list[FieldError], count: int | None = None) -> None:
        """Name every field that is wrong, or, of very many, the first. count: of all there are."""
        super().__init__(", ".join(field.pointer for field in fields))
        self.fields = fields
        self.count = len(fields) if count is None else count


class MalformedJsonError(EvaluationError): ...


class ModelError(EvaluationError): ...


class ModelUnavailableError(ModelError): ...


class ModelAnswerError(ModelError): ...


class ModelRefusalError(ModelAnswerError): ...


class ModelVersionGoneError(ModelError): ...


class RecordUnavailableError(EvaluationError): ...


class RecordBusyError(RecordUnavailableError): ...


class RecordUncertainError(RecordUnavailableError): ...


class OverloadedError(EvaluationError): ...


class ManyFilesError(OverloadedError): ...


class EvaluationNotFoundError(EvaluationError): ...


class EvaluationPendingError(EvaluationError): ...


class EvaluationErasedError(EvaluationError): ...


class EvaluationCorrectedError(EvaluationError): ...


class UnseenReviewsError(EvaluationError):
    """Others have reviewed an evaluation since the reviewer looked at it."""

    def __init__(self, reviews: "tuple[Review, ...]") -> None:
        super().__init__(f"{len(reviews)} reviews")
        self.reviews = reviews


class UnknownPlaceError(EvaluationError): ...


class PolicyNotFoundError(EvaluationError): ...


class ModelNotMetError(EvaluationError): ...


class ClientFileErasedError(EvaluationError): ...


class ClientFileNotFoundError(EvaluationError): ...


class ClientFileStateError(EvaluationError): ...


class NoResultError(ClientFileStateError): ...


class FileTooLargeError(EvaluationError): ...


class UnidentifiedError(EvaluationError): ...


class LinkGoneError(UnidentifiedError): ...


class ProviderUnavailableError(EvaluationError): ...


class NotAllowedError(EvaluationError): ...


class NoEntryError(NotAllowedError):
    """A provider's account has no name, or no role, by which one comes in."""

    def __init__(self, reason: str, told: str) -> None:
        """Take why, for who set it up, and a sentence in Portuguese for whose account it is."""
        super().__init__(reason)
        self.told = told


class OwnEvaluationError(NotAllowedError): ...


class RateExceededError(EvaluationError):
    """Who asks has asked for too much in a short time."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"{wait_seconds:.3f} s early")
        self.wait_seconds = wait_seconds


class IdempotencyKeyReusedError(EvaluationError): ...


class IdempotencyKeyInFlightError(EvaluationError): ...


class PolicyError(EvaluationError): ...
