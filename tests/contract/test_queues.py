"""Contract of `anc.ports.Queue`."""

import io
import json

import boto3
from botocore.awsrequest import AWSResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from anc.aws.queues import SqsQueue
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


def test_the_trace_of_a_function_passes_sqs(monkeypatch):
    """SQS hands the header to the function that gets the message, as AWSTraceHeader."""
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "anc_processor")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
    client = boto3.client("sqs", "eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
    sent = []

    class Body(io.BytesIO):
        def stream(self, **_):
            yield self.read()

    def answer(request, **_):
        sent.append(request.headers["X-Amzn-Trace-Id"].decode())
        return AWSResponse(request.url, 200, {}, Body(b"{}"))

    client.meta.events.register("before-send.sqs.SendMessage", answer)
    SqsQueue("https://sqs.eu-central-1.amazonaws.com/1/updates", lambda: client).send(ControlChanged("left"))

    assert sent == [trace]
