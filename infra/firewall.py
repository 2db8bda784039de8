"""What a web ACL keeps away before anything of ours is asked; prod has one at each door."""

from collections.abc import Sequence
from typing import Literal

import aws_cdk as cdk
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from infra.environment import Environment

Scope = Literal["REGIONAL", "CLOUDFRONT"]
EDGE_REGION = "us-east-1"  # where AWS takes everything that belongs to CloudFront
# Of one address in five minutes. At the API that may be an address of CloudFront, for all consoles of a city.
REQUESTS = {"CLOUDFRONT": 2000, "REGIONAL": 20_000}
SIGN_INS = 10  # of one address in a minute, the least that can be said; the function itself allows 20
SIGN_IN = "/api/auth/token"
REPUTATION, KNOWN_BAD, COMMON = (
    f"AWSManagedRules{name}" for name in ("AmazonIpReputationList", "KnownBadInputsRuleSet", "CommonRuleSet")
)
# A body may be sound, of which any bytes may look like an attack and most are over 8 KB; links to files are
# signed, and longer than 2 KB; machines need not say who they are. Services check all of it themselves.
ONLY_COUNTED = (
    "SizeRestrictions_BODY",
    "SizeRestrictions_QUERYSTRING",
    "CrossSiteScripting_BODY",
    "GenericLFI_BODY",
    "GenericRFI_BODY",
    "EC2MetaDataSSRF_BODY",
    "NoUserAgent_HEADER",
)


class WebAcl(wafv2.CfnWebACL):
    """AWS's rules for known attackers and attacks, and a limit to what one address may ask for."""

    def __init__(self, scope: Construct, id: str, environment: Environment, of: Scope) -> None:
        rules = [
            _rule(0, "requests", block=_more_than(REQUESTS[of], 300)),
            _rule(1, "reputation", managed=_managed(REPUTATION)),
            _rule(2, "known-bad", managed=_managed(KNOWN_BAD)),
            _rule(3, "common", managed=_managed(COMMON, ONLY_COUNTED)),
        ]
        if of == "CLOUDFRONT":
            rules.append(_rule(4, "sign-ins", block=_more_than(SIGN_INS, 60, path=SIGN_IN)))
        super().__init__(
            scope,
            id,
            scope=of,
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=rules,
            visibility_config=_seen(f"anc-{environment.name}-{of.lower()}"),
        )


class Edge(cdk.Stack):
    """What CloudFront needs in its own region: the web ACL of the console.

    Attributes
    ----------
    acl : WebAcl
    """

    def __init__(self, scope: Construct, id: str, environment: Environment) -> None:
        target = cdk.Environment(account=environment.account, region=EDGE_REGION)
        super().__init__(scope, id, env=target, cross_region_references=True)
        self.acl = WebAcl(self, "acl", environment, "CLOUDFRONT")


def _rule(
    priority: int,
    name: str,
    *,
    block: wafv2.CfnWebACL.StatementProperty | None = None,
    managed: wafv2.CfnWebACL.StatementProperty | None = None,
) -> wafv2.CfnWebACL.RuleProperty:
    """Return a rule that blocks what its statement matches, or does what AWS's own group of rules says."""
    return wafv2.CfnWebACL.RuleProperty(
        name=name,
        priority=priority,
        statement=block or managed,
        action=wafv2.CfnWebACL.RuleActionProperty(block={}) if block else None,
        override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}) if managed else None,
        visibility_config=_seen(name),
    )


def _more_than(limit: int, seconds: int, path: str = "") -> wafv2.CfnWebACL.StatementProperty:
    """Return a statement that matches an address from its `limit + 1`th request in so many seconds on."""
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
    """Count what a rule does; keep no samples, which would show tokens."""
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=False
    )
