"""Updates with retries: a conflict is retried, and only a conflict."""

from collections.abc import Callable

import pytest

from anc.ports import Conflict
from anc.schemas.refusal import Refused
from anc.services.updates import retry_on_conflict, retry_or_refuse


def failing(times: int, error: type[Exception] = Conflict) -> Callable[[], int]:
    """Return an update that raises the first few times, and then returns the number of its call."""
    calls = 0

    def update() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error
        return calls

    return update


@pytest.mark.parametrize("conflicts", [0, 1, 2])
def test_an_update_is_repeated_until_no_other_writer_comes_first(conflicts: int) -> None:
    assert retry_on_conflict(failing(conflicts)) == conflicts + 1


def test_an_update_that_conflicts_every_time_raises_conflict() -> None:
    with pytest.raises(Conflict):
        retry_on_conflict(failing(2), attempts=2)


def test_an_update_that_conflicts_every_time_is_refused_as_in_flight() -> None:
    with pytest.raises(Refused, match="try again") as refused:
        retry_or_refuse(failing(3), "device: being changed; try again")
    assert refused.value.code == "in_flight"


def test_other_errors_are_not_retried() -> None:
    with pytest.raises(KeyError):
        retry_on_conflict(failing(1, KeyError))
