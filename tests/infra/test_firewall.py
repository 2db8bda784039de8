"""The web ACLs of prod."""

import pytest

from infra.firewall import COMMON, KNOWN_BAD, REPUTATION


@pytest.fixture(scope="module")
def acls(prod):
    return {acl["Scope"]: acl for acl in prod.of_type("AWS::WAFv2::WebACL").values()}


def test_dev_has_no_web_acl(stacks):
    assert not stacks.of_type("AWS::WAFv2::WebACL")


def test_prod_has_web_acls_for_api_and_console(prod, acls):
    assert set(acls) == {"REGIONAL", "CLOUDFRONT"}
    (guarded,) = prod.of_type("AWS::WAFv2::WebACLAssociation").values()
    assert "/stages/" in prod.text(guarded["ResourceArn"])
    (distribution,) = prod.of_type("AWS::CloudFront::Distribution").values()
    assert distribution["DistributionConfig"]["WebACLId"]


@pytest.mark.parametrize("scope", ["REGIONAL", "CLOUDFRONT"])
def test_rate_limits_per_address_are_the_first_rule(acls, scope):
    first, *others = sorted(acls[scope]["Rules"], key=lambda rule: rule["Priority"])

    assert first["Action"] == {"Block": {}}
    rate = first["Statement"]["RateBasedStatement"]
    assert rate["AggregateKeyType"] == "IP"
    assert 10 <= rate["Limit"] <= 20_000
    managed = [rule["Statement"].get("ManagedRuleGroupStatement") for rule in others]
    assert [group["Name"] for group in managed if group] == [REPUTATION, KNOWN_BAD, COMMON]


def test_sign_ins_through_the_console_are_rate_limited(acls):
    (rule,) = [rule for rule in acls["CLOUDFRONT"]["Rules"] if rule["Name"] == "sign-ins"]
    rate = rule["Statement"]["RateBasedStatement"]

    assert (rate["Limit"], rate["EvaluationWindowSec"]) == (10, 60)
    assert rate["ScopeDownStatement"]["ByteMatchStatement"]["SearchString"] == "/api/auth/token"


@pytest.mark.parametrize("scope", ["REGIONAL", "CLOUDFRONT"])
def test_audio_bodies_and_presigned_links_are_not_blocked(acls, scope):
    (common,) = [
        group
        for rule in acls[scope]["Rules"]
        if (group := rule["Statement"].get("ManagedRuleGroupStatement")) and group["Name"] == COMMON
    ]
    counted = {o["Name"] for o in common["RuleActionOverrides"] if o["ActionToUse"] == {"Count": {}}}

    assert {"SizeRestrictions_BODY", "CrossSiteScripting_BODY", "SizeRestrictions_QUERYSTRING"} <= counted


def test_web_acls_store_no_request_samples(acls):
    for acl in acls.values():
        for part in (acl, *acl["Rules"]):
            assert not part["VisibilityConfig"]["SampledRequestsEnabled"]
