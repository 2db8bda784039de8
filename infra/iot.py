"""The control path: IoT rules and queues, the functions behind them, and device provisioning."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from constructs import Construct

from anc.schemas.shadow import SHADOW
from anc.schemas.topics import rule_name
from functions.routes import RULES, Rule
from infra.api import Api
from infra.data import Data
from infra.environment import Environment
from infra.functions import (
    DELETE,
    LIST,
    ONE_CORE_MB,
    READ,
    WRITE,
    PlatformFunction,
)
from infra.identity import Identity
from infra.layer import Layers, layers
from infra.provisioning import Provisioning
from infra.registry import (
    CERTIFICATE_NAMES,
    certificates,
    may_check_ownership,
    may_revoke,
    may_run_jobs,
    may_search_fleet_index,
    may_update_fleet_index,
)

HOOK_TIMEOUT_S = 5  # Source: AWS IoT Core, Pre-provisioning hooks


class Iot(cdk.Stack):
    """IoT rules, queue consumers with their permissions, and fleet provisioning.

    Attributes
    ----------
    functions : dict of str to PlatformFunction
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        environment: Environment,
        data: Data,
        identity: Identity,
        api: Api,
    ) -> None:
        super().__init__(scope, id, env=environment.target)
        self._data = data
        shared = layers(self, environment.layer)
        processor, sender = (
            self._consumer(name, shared, environment) for name in ("anc_processor", "audio_sender")
        )
        self.functions = {"anc_processor": processor, "audio_sender": sender}
        processor.may_use("devices", READ, WRITE)
        processor.may_use("device_models", READ)
        processor.may_use("controls", READ, WRITE)
        processor.may_use("fleets", READ, LIST, WRITE)
        processor.may_use("telemetry", READ, WRITE)
        processor.may_use("history", WRITE)
        processor.may_use("statuses", READ, WRITE)
        processor.may_send("updates")
        may_update_fleet_index(processor)
        if processor.knows_endpoint():
            processor.may_send("reclassifications")
        processor.may_raise_the_alarm()
        sender.may_use("controls", READ, WRITE)
        sender.may_send("updates")  # the end of a hold
        sender.may_use("watches", LIST, DELETE)
        sender.may_use("devices", READ)
        sender.may_use("jobs", READ)
        sender.may_use("connections", LIST, DELETE)
        api.socket.may_post(sender)
        self._may_update_shadows(sender)
        self.functions["rollout_manager"] = self._rollout_manager(shared, environment, identity)
        for rule in RULES:
            self._rule(rule, environment)
        provisioner = PlatformFunction(
            self,
            "provisioner",
            data=data,
            layers=shared,
            environment=environment,
            memory_mb=ONE_CORE_MB,  # for cold starts, which are most of its calls
            timeout_s=HOOK_TIMEOUT_S - 1,
            # No retries within the hook timeout; the headset retries.
            variables={
                "AWS_MAX_ATTEMPTS": "1",
                "THING_POLICY": identity.thing_policy,
                "THING_TYPE": identity.thing_type,
            },
        )
        provisioner.may_use("devices", READ, WRITE)
        provisioner.may_use("statuses", READ, WRITE)
        provisioner.may_use("audit", WRITE)
        may_update_fleet_index(provisioner)
        may_check_ownership(provisioner)
        may_revoke(provisioner)
        provisioner.may(["iot:AttachPolicy"], certificates(self), CERTIFICATE_NAMES)
        self.functions["provisioner"] = provisioner
        Provisioning(self, "factory", provisioner, identity.thing_type, environment.name)

    def _rollout_manager(
        self, shared: Layers, environment: Environment, identity: Identity
    ) -> PlatformFunction:
        manager = PlatformFunction(
            self,
            "rollout_manager",
            data=self._data,
            layers=shared,
            environment=environment,
            timeout_s=50,  # less than the interval
            variables={"ENVIRONMENT": environment.name, "THING_TYPE": identity.thing_type},
        )
        every_minute = events.Schedule.rate(cdk.Duration.minutes(1))
        # Not retried: the next invocation takes the step.
        target = targets.LambdaFunction(manager, retry_attempts=0)
        events.Rule(self, "rollout_steps", schedule=every_minute, targets=[target])
        manager.may_use("rollouts", READ, LIST, WRITE)
        manager.may_use("rollout_batches", LIST, WRITE, DELETE)
        manager.may_use("devices", READ)
        manager.may_use("controls", READ, WRITE)
        manager.may_use("telemetry", READ)
        manager.may_use("fleet_days", READ, WRITE)
        manager.may_use("audit", WRITE)
        manager.may_send("updates")
        manager.may(["sns:Publish"], self._data.alerts.topic_arn)
        manager.add_environment("ALERTS_TOPIC", self._data.alerts.topic_arn)
        may_search_fleet_index(manager)
        may_run_jobs(manager, environment.name)
        return manager

    def _consumer(self, name: str, shared: Layers, environment: Environment) -> PlatformFunction:
        function = PlatformFunction(
            self,
            name,
            data=self._data,
            layers=shared,
            environment=environment,
            memory_mb=ONE_CORE_MB,
            may_loop=name == "audio_sender",  # ends: a hold is extended once, see `emergency_hold`
        )
        function.consume(gradual=True)
        return function

    def _may_update_shadows(self, function: PlatformFunction) -> None:
        shadow = self.format_arn(service="iot", resource="thing", resource_name=f"*/{SHADOW}")
        function.may(["iot:UpdateThingShadow"], shadow, "This shadow of every headset.")

    def _rule(self, rule: Rule, environment: Environment) -> None:
        queue, dead = self._data.queues[rule.queue], self._data.dead_letters[rule.queue]
        role = iam.Role(self, f"{rule.name}_role", assumed_by=iam.ServicePrincipal("iot.amazonaws.com"))
        role.add_to_policy(
            iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queue.queue_arn, dead.queue_arn])
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["kms:GenerateDataKey", "kms:Decrypt"], resources=[self._data.key.key_arn]
            )
        )
        to_queue, to_dead_letters = (
            iot.CfnTopicRule.ActionProperty(
                sqs=iot.CfnTopicRule.SqsActionProperty(
                    queue_url=target.queue_url, role_arn=role.role_arn, use_base64=False
                )
            )
            for target in (queue, dead)
        )
        topic_rule = iot.CfnTopicRule(
            self,
            rule.name,
            rule_name=rule_name(rule.name, environment.name),  # fixed: part of headsets' topics
            topic_rule_payload=iot.CfnTopicRule.TopicRulePayloadProperty(
                sql=rule.sql,
                aws_iot_sql_version="2016-03-23",
                actions=[to_queue],
                error_action=to_dead_letters,
            ),
        )
        topic_rule.node.add_dependency(role)
