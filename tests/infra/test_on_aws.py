"""Every scenario passes on the functions on AWS."""

import pytest

from tests.infra.scenarios import ENDPOINT_SCENARIOS, SCENARIOS, run

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("scenario", SCENARIOS + ENDPOINT_SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_on_aws(scenario):
    _, fault = run(scenario)
    if fault:
        raise fault
