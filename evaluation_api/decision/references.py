"""What speaks against a client: adverse facts beyond the policy's references, never a profile.

Each has a stable code, for who reads an answer by program; sentences.py has the words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from evaluation_api.decision.domain import AdverseFact, CardUsage, Facts
from evaluation_api.decision.facts import Share, cents

#: Which amount each code is about.
FEATURE_OF: Final = {
    "uso_alto": "balance",
    "pouco_pago": "payments",
    "quase_nada_pago": "payments",
    "saques_altos": "cash_advance",
}


@dataclass(frozen=True, slots=True)
class References:
    """What the reasons are measured against, [referencias] of the policy; never a profile.

    use, withdrawn: shares of the limit over which they speak against a client. low_paid,
    hardly_paid: shares of the balance under which payments do; the second takes the first's place.
    """

    use: Share
    withdrawn: Share
    low_paid: Share
    hardly_paid: Share

    def by_code(self) -> dict[str, float]:
        """Return the share that each code is measured against."""
        shares = self.use, self.low_paid, self.hardly_paid, self.withdrawn
        return {code: share.value for code, share in zip(FEATURE_OF, shares, strict=True)}

    def adverse(self, usage: CardUsage, facts: Facts) -> Iterator[AdverseFact]:
        """Find what speaks against a client, in the order use, payments, withdrawals."""
        limit = cents(usage.credit_limit)
        if self.use.difference(cents(usage.balance), limit) > 0:
            yield AdverseFact("uso_alto", "balance", facts.use, self.use.value)
        if facts.paid is not None:
            yield from self._paid(cents(usage.payments), cents(usage.balance), facts.paid)
        if self.withdrawn.difference(cents(usage.cash_advance), limit) > 0:
            yield AdverseFact("saques_altos", "cash_advance", facts.withdrawn, self.withdrawn.value)

    def _paid(self, payments: int, balance: int, paid: float) -> Iterator[AdverseFact]:
        if self.hardly_paid.difference(payments, balance) < 0:
            yield AdverseFact("quase_nada_pago", "payments", paid, self.hardly_paid.value)
        elif self.low_paid.difference(payments, balance) < 0:
            yield AdverseFact("pouco_pago", "payments", paid, self.low_paid.value)
