"""Of what a browser keeps, the service's own is read and nothing else."""

import pytest

from evaluation_api.access import cookies


@pytest.mark.parametrize(
    ("sent", "own"),
    [
        (b"", b""),
        (b"tema=escuro", b""),
        (b"sessao=a.b-c_d", b"sessao=a.b-c_d"),
        (b"tema=escuro; sessao=a; entrada=YQ==.b; x", b"sessao=a; entrada=YQ==.b"),
        (b"__Host-sessao=a;sessao=b", b"__Host-sessao=a; sessao=b"),
        (b"xsessao=a; sessao2=b; x=sessao=c", b""),
        (rb'sessao="a\\\\"; entrada=a"b', b"sessao=; entrada=a"),
    ],
)
def test_a_header_is_left_with_the_services_own_cookies(sent: bytes, own: bytes) -> None:
    assert cookies.own(sent) == own
