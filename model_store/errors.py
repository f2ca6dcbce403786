"""What can go wrong with a model, one tree; each message is one sentence for whoever reads it.

ModelStoreError
├── TrainingRefused         the data set, or the model trained on it, is not fit for use
├── PickleRefused           the file is not opened
│   ├── PickleTooLarge      more bytes than any model of ours has
│   ├── ChecksumMismatch    other bytes than the ones that were pinned
│   ├── ForbiddenContent    something that a model does not need, and that could do harm
│   └── UnreadablePickle    truncated, or no pickle at all
├── NotAModel               opened, but it cannot place a client in one of the five profiles
├── NoClosedForm            a model that is more than numbers, where numbers are asked for
├── GoldenMismatch          a golden client came out with another label than recorded
├── InvalidTag              no explicit version
├── ModelNotFound           the store has no such version
├── CorruptModel            the store has it, but not as it was imported
├── StoreUnusable           the store cannot be written to, or read
├── LedgerBroken            the history of what was published, or `production`, was tampered with
└── PromotionRefused        it must not be published, or there is nothing to go back to
"""

# ruff: noqa: N818 - a name such as ModelNotFound says it all


class ModelStoreError(Exception):
    """Anything this package refuses; the message is one clear sentence."""


class TrainingRefused(ModelStoreError): ...


class PickleRefused(ModelStoreError): ...


class PickleTooLarge(PickleRefused): ...


class ChecksumMismatch(PickleRefused): ...


class ForbiddenContent(PickleRefused): ...


class UnreadablePickle(PickleRefused): ...


class NotAModel(ModelStoreError): ...


class NoClosedForm(ModelStoreError): ...


class GoldenMismatch(ModelStoreError): ...


class InvalidTag(ModelStoreError): ...


class ModelNotFound(ModelStoreError): ...


class CorruptModel(ModelStoreError): ...


class StoreUnusable(ModelStoreError): ...


class LedgerBroken(ModelStoreError): ...


class PromotionRefused(ModelStoreError): ...
