"""Web ACLs for the REST API and the console; prod only."""

from collections.abc import Sequence
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_wafv2 as wafv2
from aws_cdk.aws_sns_subscriptions import EmailSubscription
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.environment import Environment

Scope = Literal["REGIONAL", "CLOUDFRONT"]
EDGE_REGION = "us-east-1"  # required for CloudFront resources
# Per IP address in five minutes. The API sees CloudFront's addresses, each shared by many users.
MAX_REQUESTS = {"CLOUDFRONT": 2000, "REGIONAL": 20_000}
MAX_BLOCKED = 1000  # in five minutes
MAX_ERRORS_PERCENT = 5
MAX_SIGN_INS = 10  # per IP address and minute, the minimum of AWS WAF; the function allows 20
SIGN_IN = "/api/auth/token"
REPUTATION, KNOWN_BAD, COMMON = (
    f"AWSManagedRules{name}" for name in ("AmazonIpReputationList", "KnownBadInputsRuleSet", "CommonRuleSet")
)
# Rules that would block valid requests: audio bodies exceed 8 KB and can contain any bytes, presigned links
# exceed 2 KB, and devices may omit User-Agent. The services validate all of these.
COUNT_ONLY_RULES = (
    "SizeRestrictions_BODY",
    "SizeRestrictions_QUERYSTRING",
    "CrossSiteScripting_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "EC2MetaDataSSRF_BODY",
    "NoUserAgent_HEADER",
)


def acl_name(environment: Environment, of: Scope) -> str:
    """Return the name of a web ACL in its metrics."""
    return f"anc-{environment.name}-{of.lower()}"


class WebAcl(wafv2.CfnWebACL):
    """A web ACL with AWS managed rules and rate limits per IP address."""

    def __init__(self, scope: Construct, id: str, environment: Environment, of: Scope) -> None:
        rules = [
            _rule(0, "requests", block=_more_than(MAX_REQUESTS[of], 300)),
            _rule(1, "reputation", managed=_managed(REPUTATION)),
            _rule(2, "known-bad", managed=_managed(KNOWN_BAD)),
            _rule(3, "common", managed=_managed(COMMON, COUNT_ONLY_RULES)),
        ]
        if of == "CLOUDFRONT":
            rules.append(_rule(4, "sign-ins", block=_more_than(MAX_SIGN_INS, 60, path=SIGN_IN)))
        super().__init__(
            scope,
            id,
            scope=of,
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=rules,
            visibility_config=_seen(acl_name(environment, of)),
        )


class Edge(cdk.Stack):
    """The web ACL of the console, in the region that CloudFront requires.

    Attributes
    ----------
    acl : WebAcl
    """

    def __init__(self, scope: Construct, id: str, environment: Environment) -> None:
        target = cdk.Environment(account=environment.account, region=EDGE_REGION)
        super().__init__(scope, id, env=target, cross_region_references=True)
        self.acl = WebAcl(self, "acl", environment, "CLOUDFRONT")
        self._watch(environment)

    def _watch(self, environment: Environment) -> None:
        """Add alarms on the metrics of CloudFront and its web ACL, which exist in this region only."""
        topic = sns.Topic(self, "alarms", enforce_ssl=True)
        acknowledge(topic, "AwsSolutions-SNS2", "Names of alarms; CloudWatch cannot use AWS's key of SNS.")
        if environment.mail:
            topic.add_subscription(EmailSubscription(environment.mail))
        blocked = cloudwatch.Metric(
            namespace="AWS/WAFV2",
            metric_name="BlockedRequests",
            dimensions_map={"WebACL": acl_name(environment, "CLOUDFRONT"), "Rule": "ALL"},
            statistic="sum",
            period=cdk.Duration.minutes(5),
        )
        failing = cloudwatch.MathExpression(
            expression='SELECT MAX("5xxErrorRate") FROM SCHEMA("AWS/CloudFront", DistributionId, Region)',
            period=cdk.Duration.minutes(5),
            label="5xxErrorRate",
        )
        for name, metric, threshold, description in (
            ("console-blocked", blocked, MAX_BLOCKED, "The web ACL of the console blocks many requests."),
            ("console-errors", failing, MAX_ERRORS_PERCENT, "CloudFront answers with server errors."),
        ):
            alarm = cloudwatch.Alarm(
                self,
                name,
                alarm_name=f"anc-{environment.name}-{name}",
                alarm_description=f"{description} (us-east-1)",
                metric=metric,
                threshold=threshold,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                evaluation_periods=1,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            alarm.add_alarm_action(actions.SnsAction(topic))
            alarm.add_ok_action(actions.SnsAction(topic))
        cdk.CfnOutput(self, "AlarmsTopic", value=topic.topic_arn)


def _rule(
    priority: int,
    name: str,
    *,
    block: wafv2.CfnWebACL.StatementProperty | None = None,
    managed: wafv2.CfnWebACL.StatementProperty | None = None,
) -> wafv2.CfnWebACL.RuleProperty:
    """Return a rule that blocks matching requests, or applies a managed rule group."""
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        statement=block or managed,
        action=wafv2.CfnWebACL.RuleActionProperty(block={}) if block else None,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}) if managed else None,
        visibility_config=_seen(name),
    )


def _more_than(limit: int, seconds: int, path: str = "") -> wafv2.CfnWebACL.StatementProperty:
    """Return a statement that matches addresses with more than `limit` requests in a time window."""
    kind = wafv2.CfnWebACL
    to_path = kind.StatementProperty(
        byte_match_statement=kind.ByteMatchStatementProperty(
            field_to_match=kind.FieldToMatchProperty(uri_path={}),
            positional_constraint="ENDS_WITH",
            search_string=path,
            text_transformations=[kind.TextTransformationProperty(priority=0, type="NONE")],
        )
    )
    return kind.StatementProperty(
        rate_based_statement=kind.RateBasedStatementProperty(
            aggregate_key_type="IP",
            limit=limit,
            evaluation_window_sec=seconds,
            scope_down_statement=to_path if path else None,
        )
    )


def _managed(group: str, counted: Sequence[str] = ()) -> wafv2.CfnWebACL.StatementProperty:
    kind = wafv2.CfnWebACL
    only_count = kind.RuleActionProperty(count={})
    return kind.StatementProperty(
        managed_rule_group_statement=kind.ManagedRuleGroupStatementProperty(
            vendor_name="AWS",
            name=group,
            rule_action_overrides=[
                kind.RuleActionOverrideProperty(name=name, action_to_use=only_count) for name in counted
            ]
            or None,
        )
    )


def _seen(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    """Enable metrics but no request samples, which would contain tokens."""
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
