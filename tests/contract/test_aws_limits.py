"""AWS limits that moto lacks and the test account adds."""

import json

import pytest

from anc.records import Stream

HERE, KB = "https://api/prod", 1024


def refused(code, call, **request):
    """Expect an AWS error with this code."""
    with pytest.raises(Exception, match=code):
        call(**request)


def test_a_closed_socket_is_gone_and_a_message_over_128_kilobytes_is_rejected(aws, aws_limits):
    aws_limits.is_gone = "closed".__eq__
    post = aws("apigatewaymanagementapi", endpoint_url=HERE).post_to_connection

    post(ConnectionId="open", Data=b"m" * 128 * KB)
    refused("GoneException", post, ConnectionId="closed", Data=b"{}")
    refused("PayloadTooLarge", post, ConnectionId="open", Data=b"m" * (128 * KB + 1))

    assert list(aws_limits.sent) == ["open"]


def test_desired_and_reported_state_share_the_8_kilobytes_of_a_shadow(aws):
    aws("iot").create_thing(thingName="left")
    update = aws("iot-data").update_thing_shadow
    named = {"thingName": "left", "shadowName": "anc"}

    update(**named, payload=json.dumps({"state": {"reported": {"about": "r" * 4000}}}))
    update(**named, payload=json.dumps({"state": {"desired": {"reason": "d" * 4000}}}))
    more = json.dumps({"state": {"desired": {"filter": "f" * 200}}})
    refused("RequestEntityTooLarge", update, **named, payload=more)
    update(**named, payload=json.dumps({"state": {"reported": {"about": None}}}))
    update(**named, payload=more)


def test_an_item_over_400_kilobytes_is_rejected(aws, streams_on_aws):
    put = aws("dynamodb").put_item
    whole = {"key": {"S": "k"}, "body": {"B": bytes(390 * KB)}}

    put(TableName="streams", Item=whole)
    refused("ValidationException", put, TableName="streams", Item=whole | {"body": {"B": bytes(401 * KB)}})


def test_dynamodb_returns_expired_items_and_the_adapter_skips_them(aws, streams_on_aws, clock):
    stream = Stream(key="s", mode="bypass", rate=16_000, channels=1, taps=1, mu=0.5, created=clock())
    streams_on_aws.put(stream.replace(expires=clock() + 1))
    clock.now += 10

    kept = aws("dynamodb").get_item(TableName="streams", Key={"key": {"S": "s"}})

    assert int(kept["Item"]["sweep"]["N"]) < clock()
    assert streams_on_aws.get("s") is None


def test_sqs_rejects_messages_over_a_megabyte_and_delays_over_15_minutes(aws):
    sqs = aws("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]

    refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="m" * (KB * KB + 1))
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="m", DelaySeconds=901)


def test_an_endpoint_accepts_any_bytes_up_to_4_megabytes(aws, aws_limits):
    invoke = aws("sagemaker-runtime").invoke_endpoint
    aws_limits.prediction = {"label": "rail"}

    answer = invoke(EndpointName="e", Body=b"\xff\x00\x80")["Body"].read()
    refused("ValidationError", invoke, EndpointName="e", Body=bytes(4 * KB * KB + 1))

    assert json.loads(answer) == aws_limits.prediction
    assert aws_limits.requests == [b"\xff\x00\x80"]
