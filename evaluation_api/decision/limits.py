"""What is accepted of applicants and reviews: each bound once for the whole of this service.

The model service and the front end have their own; tests/cases/applicants.json holds all equal.
"""

import re
from typing import Final

#: The largest of each of the five amounts.
LARGEST_AMOUNT: Final = 1e7
#: The longest name of a client or reviewer, in characters, without the space around it.
LONGEST_NAME: Final = 120
#: Of a name with how somebody came in before it, and what tells it from its like behind it.
LONGEST_LABEL: Final = LONGEST_NAME + 16
#: Of the latter.
SUBJECT_LENGTH: Final = 9
#: Of an Idempotency-Key as it is sent, and as it is kept: behind who sent it, and a space.
LONGEST_KEY: Final = 255
LONGEST_OWN_KEY: Final = LONGEST_LABEL + 1 + LONGEST_KEY

#: Controls of direction, by which "anA - odavorpa" is shown as "aprovado - Ana".
_DIRECTION: Final = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
#: What is readable, as patterns of OpenAPI: no control character, but for those of several lines.
READABLE: Final = rf"^[^\x00-\x1f\x7f-\x9f{_DIRECTION}]*$"
READABLE_LINES: Final = rf"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_DIRECTION}]*$"
#: What is not, as `re` finds it; halves of a UTF-16 pair come of queries only.
UNREADABLE: Final = re.compile(rf"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_DIRECTION}]")


def is_readable(name: str, longest: int) -> bool:
    """Tell whether a name has 1 to so many characters, of which each can be read."""
    return 0 < len(name) <= longest and UNREADABLE.search(name) is None
