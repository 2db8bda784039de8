"""Alerts on AWS; on one machine they are written to the log."""

import json

from botocore.stub import Stubber

from anc.aws.alerts import SnsAlerts


def test_subscribers_receive_an_alert(aws):
    sns, sqs = aws("sns"), aws("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    inbox = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    SnsAlerts(topic, lambda: sns).publish("siren near a headset", "detected by headset-1")

    received = json.loads(sqs.receive_message(QueueUrl=inbox)["Messages"][0]["Body"])
    assert (received["Subject"], received["Message"]) == (
        "siren near a headset",
        "detected by headset-1",
    )


def test_an_alert_that_cannot_be_delivered_does_not_raise(aws):
    sns = aws("sns")
    with Stubber(sns) as stub:
        stub.add_client_error("publish", "KMSThrottling", http_status_code=400)

        SnsAlerts("arn:aws:sns:eu-central-1:000000000000:alerts", lambda: sns).publish("siren", "detected")

        stub.assert_no_pending_responses()
