"""Knows the service's own cookies, and leaves none of others to be taken apart.

FastAPI and Starlette have the standard library read whatever comes, which for one of 60 KB took 8 s
of the event loop before Python 3.11.10 and 3.12.6 (CVE-2024-7592).
"""

import re
from typing import Final

#: What a browser keeps of a session, and of its way to a provider of identities and back.
SESSION: Final = "sessao"
WAY: Final = "entrada"
_OWN: Final = re.compile(
    rb'(?:^|;)[ \t]*((?:(?:__Host-)?%b|%b)=[^;"\\ \t]*)' % (SESSION.encode(), WAY.encode())
)


def own(header: bytes) -> bytes:
    """Return a Cookie header with nothing in it but the service's own cookies."""
    return b"; ".join(_OWN.findall(header))
