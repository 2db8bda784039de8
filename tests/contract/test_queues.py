"""What a queue promises, whoever keeps it."""

from hypothesis import given, settings
from hypothesis import strategies as st

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(text, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | text, max_size=5))
def test_a_document_arrives_as_it_was_sent(queue, body):
    queue.port.send(body)

    assert queue.receive(0) == [body]


def test_a_document_of_100_kilobytes_arrives(queue):
    queue.port.send({"data": "ä" * 50_000})

    assert queue.receive(0) == [{"data": "ä" * 50_000}]


def test_a_delayed_document_arrives_when_its_time_has_come_and_not_before(queue):
    queue.port.send({"n": 1}, delay_s=2)
    queue.port.send({"n": 2})

    assert queue.receive(0) == [{"n": 2}]
    assert queue.receive(3) == [{"n": 1}]
