"""The topics that a headset may use, for the deployed policy and for the broker of one machine alike."""

import re
from collections.abc import Iterable

from anc.schemas.shadow import SHADOW
from anc.schemas.topics import ingest_topic, jobs_topic
from functions.routes import HEADSET_TOPICS, HEADSETS_RULES

VERBS = ("get", "update")
# `*` stands for the name of a job, which no policy knows.
JOB_REQUESTS = ("start-next", "*/update")
JOB_ANSWERS = ("notify-next", "start-next/*")


def publish_topics(thing: str, environment: str = "") -> tuple[str, ...]:
    """Return the topics on which a thing may publish; `*` is the wildcard of policies."""
    ingest = (ingest_topic(rule.name, rule.topic.replace("+", thing), environment) for rule in HEADSETS_RULES)
    own = (f"anc/{thing}/{kind}" for kind in HEADSET_TOPICS)
    jobs = (jobs_topic(thing, request) for request in JOB_REQUESTS)
    return (*ingest, *own, *(_shadow(thing, verb) for verb in VERBS), *jobs)


def answer_topics(thing: str) -> tuple[str, ...]:
    """Return the topics and topic filters to which a thing may subscribe; `*` is the wildcard of policies."""
    jobs = (jobs_topic(thing, answer) for answer in JOB_ANSWERS)
    return (*(_shadow(thing, f"{verb}/*") for verb in VERBS), *jobs)


def received_topics(thing: str) -> tuple[str, ...]:
    """Return the topics whose messages a thing may receive, if it could subscribe to them."""
    return _shadow(thing, "*"), jobs_topic(thing, "*")


def may_publish(thing: str, topic: str) -> bool:
    """Return whether a headset may publish on a topic."""
    topics = publish_topics(thing)
    return topic in topics or allows((each for each in topics if "*" in each), topic)


def may_subscribe(thing: str, topic_filter: str) -> bool:
    """Return whether a headset may subscribe to a topic filter."""
    return allows(answer_topics(thing), topic_filter)


def allows(resources: Iterable[str], topic: str) -> bool:
    """Return whether a resource of a policy covers a topic or topic filter.

    In a policy `*` stands for any characters, and the wildcards of MQTT for themselves.
    """
    return any(
        re.fullmatch(".*".join(map(re.escape, name.split("*"))), topic, re.DOTALL) for name in resources
    )


def _shadow(thing: str, topic: str) -> str:
    return f"$aws/things/{thing}/shadow/name/{SHADOW}/{topic}"
