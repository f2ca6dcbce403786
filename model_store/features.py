"""What every model of this project has in common: five features in, one of five profiles out.

A leaf: standard library only, so that whoever needs the names pays for nothing else.
"""

from typing import Final

FEATURES: Final = ("balance", "purchases", "cash_advance", "credit_limit", "payments")
"""Column order of each n x 5 matrix. `balance` is what the client owes, not the limit left."""
PROFILE_COUNT: Final = 5
"""Labels are 0 to 4; profiles.py says what they mean."""
LARGEST_AMOUNT: Final = 1e7
"""No amount is above it, in what is asked or in what is answered; none is below 0."""
