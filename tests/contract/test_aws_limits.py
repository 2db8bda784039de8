"""What AWS refuses and moto would take: the account of these tests refuses it too."""

import json

import pytest

from anc.records import Stream

HERE, KB = "https://api/prod", 1024


def refused(code, call, **request):
    """Expect a refusal with this code."""
    with pytest.raises(Exception, match=code):
        call(**request)


def test_a_closed_socket_is_gone_and_a_message_over_128_kilobytes_is_not_sent(aws, strict):
    strict.gone = "closed".__eq__
    post = aws("apigatewaymanagementapi", endpoint_url=HERE).post_to_connection

    post(ConnectionId="open", Data=b"m" * 128 * KB)
    refused("GoneException", post, ConnectionId="closed", Data=b"{}")
    refused("PayloadTooLarge", post, ConnectionId="open", Data=b"m" * (128 * KB + 1))

    assert list(strict.sent) == ["open"]


def test_a_shadow_holds_8_kilobytes_of_what_is_desired_and_reported_together(aws):
    aws("iot").create_thing(thingName="left")
    update = aws("iot-data").update_thing_shadow
    named = {"thingName": "left", "shadowName": "anc"}

    update(**named, payload=json.dumps({"state": {"reported": {"about": "r" * 4000}}}))
    update(**named, payload=json.dumps({"state": {"desired": {"reason": "d" * 4000}}}))
    more = json.dumps({"state": {"desired": {"filter": "f" * 200}}})
    refused("RequestEntityTooLarge", update, **named, payload=more)
    update(**named, payload=json.dumps({"state": {"reported": {"about": None}}}))
    update(**named, payload=more)


def test_an_item_over_400_kilobytes_is_not_stored(aws, streams_on_aws):
    put = aws("dynamodb").put_item
    whole = {"key": {"S": "k"}, "body": {"B": bytes(390 * KB)}}

    put(TableName="streams", Item=whole)
    refused("ValidationException", put, TableName="streams", Item=whole | {"body": {"B": bytes(401 * KB)}})


def test_an_item_whose_time_is_over_stays_until_it_is_swept_and_only_the_adapter_passes_it_over(
    aws, streams_on_aws, clock
):
    stream = Stream(key="s", mode="bypass", rate=16_000, channels=1, taps=1, mu=0.5, created=clock())
    streams_on_aws.put(stream.replace(expires=clock() + 1))
    clock.now += 10

    kept = aws("dynamodb").get_item(TableName="streams", Key={"key": {"S": "s"}})

    assert int(kept["Item"]["sweep"]["N"]) < clock()
    assert streams_on_aws.get("s") is None


def test_a_message_over_a_megabyte_is_not_queued_and_none_waits_longer_than_a_quarter_of_an_hour(aws):
    sqs = aws("sqs")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]

    refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="m" * (KB * KB + 1))
    refused("InvalidParameterValue", sqs.send_message, QueueUrl=queue, MessageBody="m", DelaySeconds=901)


def test_an_endpoint_takes_any_bytes_up_to_4_megabytes(aws, strict):
    invoke = aws("sagemaker-runtime").invoke_endpoint
    strict.opinion = {"label": "rail"}

    said = invoke(EndpointName="e", Body=b"\xff\x00\x80")["Body"].read()
    refused("ValidationError", invoke, EndpointName="e", Body=bytes(4 * KB * KB + 1))

    assert json.loads(said) == strict.opinion
    assert strict.asked == [b"\xff\x00\x80"]
