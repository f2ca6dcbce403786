"""What can go wrong, in the words of the business. web/problem_table.py has each one's answer.

EvaluationError
├── InvalidRequestError       what was sent can't be accepted; names every field
├── MalformedJsonError        what was sent is no JSON
├── ModelError                no prediction can be had
│   ├── ModelUnavailableError   not reached, too slow, overloaded or its circuit is open
│   ├── ModelAnswerError        it answered something that is no prediction
│   │   └── ModelRefusalError       it refused one of the clients
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
├── UnknownPlaceError         nobody was given this place in the order of commits
├── PolicyNotFoundError       no policy of that version decided here
├── ModelNotMetError          no model of that version answered here
├── ClientFileNotFoundError   no file has that id
├── ClientFileErasedError     a person who came in it was taken out, and the file with them
├── ClientFileStateError      a file's state does not allow what was asked of it
│   └── NoResultError           none of its lines is decided yet
├── FileTooLargeError         a file has more bytes or lines than one may
├── UnidentifiedError         nobody that is known asks
│   └── LinkGoneError           by a one-time address that was used, or is over
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


class MalformedJsonError(EvaluationError):
    """What was sent is no JSON."""


class ModelError(EvaluationError):
    """No prediction can be had."""


class ModelUnavailableError(ModelError):
    """The model service is not reached, too slow, overloaded, or its circuit is open."""


class ModelAnswerError(ModelError):
    """The model service answered something that is no prediction."""


class ModelRefusalError(ModelAnswerError):
    """The model service refused one of the clients; which one it does not say."""


class ModelVersionGoneError(ModelError):
    """The model service's store no longer has the version that was asked for."""


class RecordUnavailableError(EvaluationError):
    """The database can't be reached."""


class RecordBusyError(RecordUnavailableError):
    """Another process is writing, and waiting for it was not wanted."""


class RecordUncertainError(RecordUnavailableError):
    """The database was told to commit, and did not say in time whether it has."""


class OverloadedError(EvaluationError):
    """More is waiting than can be answered in time."""


class ManyFilesError(OverloadedError):
    """As many files come in, or go out, as may at once."""


class EvaluationNotFoundError(EvaluationError):
    """No evaluation has that id."""


class EvaluationPendingError(EvaluationError):
    """It waits for the model, and there is nothing to review yet."""


class EvaluationErasedError(EvaluationError):
    """The person was taken out of it, and there is nothing left to review."""


class EvaluationCorrectedError(EvaluationError):
    """Another evaluation counts in its place: that is the one to review."""


class UnseenReviewsError(EvaluationError):
    """Others have reviewed an evaluation since the reviewer looked at it."""

    def __init__(self, reviews: "tuple[Review, ...]") -> None:
        super().__init__(f"{len(reviews)} reviews")
        self.reviews = reviews


class UnknownPlaceError(EvaluationError):
    """Nobody was given this place in the order of commits: it is another record's, or a copy's."""


class PolicyNotFoundError(EvaluationError):
    """No policy of that version decided here."""


class ModelNotMetError(EvaluationError):
    """No model of that version answered here."""


class ClientFileErasedError(EvaluationError):
    """A person who came in a file was taken out, and with them what was sent and its result."""


class ClientFileNotFoundError(EvaluationError):
    """No file has that id."""


class ClientFileStateError(EvaluationError):
    """A file's state does not allow what was asked of it."""


class NoResultError(ClientFileStateError):
    """No line of a file is decided yet, and there is no result of it."""


class FileTooLargeError(EvaluationError):
    """A file has more bytes or lines than one may."""


class UnidentifiedError(EvaluationError):
    """Nobody that is known asks."""


class LinkGoneError(UnidentifiedError):
    """A one-time address was used before, or its time is over, or it was none."""


class ProviderUnavailableError(EvaluationError):
    """The provider of people's identities is not reached."""


class NotAllowedError(EvaluationError):
    """Who asks has no role for what they ask."""


class NoEntryError(NotAllowedError):
    """A provider's account has no name, or no role, by which one comes in."""

    def __init__(self, reason: str, told: str) -> None:
        """Take why, for who set it up, and a sentence in Portuguese for whose account it is."""
        super().__init__(reason)
        self.told = told


class OwnEvaluationError(NotAllowedError):
    """Who made an evaluation would review it, which the policy does not allow."""


class RateExceededError(EvaluationError):
    """Who asks has asked for too much in a short time."""

    def __init__(self, wait_seconds: float) -> None:
        super().__init__(f"{wait_seconds:.3f} s early")
        self.wait_seconds = wait_seconds


class IdempotencyKeyReusedError(EvaluationError):
    """The key was used before with another body."""


class IdempotencyKeyInFlightError(EvaluationError):
    """The key's first request is still being answered."""


class PolicyError(EvaluationError):
    """The policy file is wrong; the message names the line and the reason."""
