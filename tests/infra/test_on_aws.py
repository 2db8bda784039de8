"""Every scenario passes on the functions on AWS."""

import pytest

from tests.infra.scenarios import STORIES, WITH_ENDPOINT, lived


@pytest.mark.parametrize("story", STORIES + WITH_ENDPOINT, ids=lambda story: story.__name__)
def test_on_aws(story):
    _, fault = lived(story)
    if fault:
        raise fault
