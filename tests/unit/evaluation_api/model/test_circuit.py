"""The circuit breaker, on a clock that the test turns."""

from evaluation_api.model.circuit import Circuit


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time in seconds."""
        return self.now


def test_it_opens_after_enough_failures_in_a_row() -> None:
    circuit = Circuit(3, pause_seconds=10, clock=Clock())

    for _ in range(2):
        circuit.failed()
    assert circuit.admits()
    circuit.failed()

    assert circuit.is_open
    assert not circuit.admits()


def test_a_success_in_between_starts_the_count_again() -> None:
    circuit = Circuit(2, pause_seconds=10, clock=Clock())

    circuit.failed()
    circuit.succeeded()
    circuit.failed()

    assert circuit.admits()


def test_open_it_admits_one_probe_each_pause() -> None:
    clock = Clock()
    circuit = Circuit(1, pause_seconds=10, clock=clock)
    circuit.failed()

    admitted = []
    for now in (9.9, 10.0, 10.1, 19.9, 20.0, 20.0):
        clock.now = now
        admitted.append(circuit.admits())

    assert admitted == [False, True, False, False, True, False]


def test_calls_that_fail_late_do_not_put_off_the_probe() -> None:
    clock = Clock()
    circuit = Circuit(2, pause_seconds=10, clock=clock)
    for now in (0, 0, 5, 9.9):
        clock.now = now
        circuit.failed()

    clock.now = 10

    assert circuit.admits()


def test_a_probe_that_succeeds_closes_it_and_one_that_fails_does_not() -> None:
    clock = Clock()
    circuit = Circuit(1, pause_seconds=10, clock=clock)
    circuit.failed()
    clock.now = 10
    assert circuit.admits()

    circuit.failed()
    assert circuit.is_open
    circuit.succeeded()

    assert not circuit.is_open
    assert circuit.admits()
