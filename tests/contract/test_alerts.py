"""What the alerts promise on AWS; on one machine they are lines of the log."""

import json

from botocore.stub import Stubber

from anc.aws.alerts import SnsAlerts


def test_whoever_subscribes_is_told(aws):
    sns, sqs = aws("sns"), aws("sqs")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    inbox = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    SnsAlerts(topic, lambda: sns).publish("siren near a headset", "headset-1 heard a siren")

    told = json.loads(sqs.receive_message(QueueUrl=inbox)["Messages"][0]["Body"])
    assert (told["Subject"], told["Message"]) == ("siren near a headset", "headset-1 heard a siren")


def test_an_alert_that_cannot_be_delivered_stops_nothing(aws):
    sns = aws("sns")
    with Stubber(sns) as stub:
        stub.add_client_error("publish", "KMSThrottling", http_status_code=400)

        SnsAlerts("arn:aws:sns:eu-central-1:000000000000:alerts", lambda: sns).publish("siren", "heard")

        stub.assert_no_pending_responses()
