"""The topics of a headset on one machine, by the table that the deployed policy is tested with too."""

import pytest

from anc.schemas.topics import ingest_topic
from functions import headset_rights
from tests.headset_topics import MAY_PUBLISH, MAY_PUBLISH_INGEST, MAY_SUBSCRIBE


@pytest.mark.parametrize(("topic", "allowed"), [*MAY_PUBLISH.items()])
def test_a_headset_publishes_on_its_topics_only(topic: str, allowed: bool) -> None:
    assert headset_rights.may_publish("h1", topic) == allowed


@pytest.mark.parametrize(("ingest", "allowed"), [*MAY_PUBLISH_INGEST.items()])
def test_a_headset_reaches_its_rules_only(ingest: tuple[str, str], allowed: bool) -> None:
    assert headset_rights.may_publish("h1", ingest_topic(*ingest)) == allowed


@pytest.mark.parametrize(("topic_filter", "allowed"), [*MAY_SUBSCRIBE.items()])
def test_a_headset_subscribes_to_the_answers_of_its_shadow_only(topic_filter: str, allowed: bool) -> None:
    assert headset_rights.may_subscribe("h1", topic_filter) == allowed
