"""Contract of `anc.ports.Queue`."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from anc.schemas.endpoint import EndpointRequest
from anc.schemas.messages import ControlChanged, Message, ReclassificationRequest, decode

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
QUESTIONS = st.builds(EndpointRequest)


def received(queue, wait_s):
    return [decode(json.dumps(body), Message) for body in queue.receive(wait_s)]


@settings(max_examples=25, deadline=None)
@given(st.builds(ReclassificationRequest, text, st.integers(-(2**53), 2**53), text, QUESTIONS))
def test_a_message_arrives_as_it_was_sent(queue, message):
    queue.port.send(message)

    assert received(queue, 0) == [message]


def test_a_message_of_100_kilobytes_arrives(queue):
    message = ControlChanged("ä" * 50_000)
    queue.port.send(message)

    assert received(queue, 0) == [message]


def test_a_delayed_message_arrives_after_its_delay_and_not_before(queue):
    queue.port.send(ControlChanged("late"), delay_s=2)
    queue.port.send(ControlChanged("soon"))

    assert received(queue, 0) == [ControlChanged("soon")]
    assert received(queue, 3) == [ControlChanged("late")]
