"""The console on AWS: access to its files, response headers, and forwarding."""

import json
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from functions.routes import REST, SOCKET
from infra.publish import console_files, media_type, publish
from local.http.console import FILES, FOLDERS
from tests.infra.conftest import OPTIONS

WEB = Path(__file__).parents[2] / "web"
BUCKET = "anc-console"


@pytest.fixture(scope="module")
def distribution(stacks):
    (one,) = stacks.of_type("AWS::CloudFront::Distribution").values()
    return one["DistributionConfig"]


@pytest.fixture(scope="module")
def origins(distribution):
    return {origin["Id"]: origin for origin in distribution["Origins"]}


def behaviours_of(distribution):
    return {one["PathPattern"]: one for one in distribution["CacheBehaviors"]}


def test_cloudfront_sends_the_same_headers_as_the_local_platform(stacks, distribution):
    (policy,) = stacks.of_type("AWS::CloudFront::ResponseHeadersPolicy").values()
    config = policy["ResponseHeadersPolicyConfig"]
    security = config["SecurityHeadersConfig"]
    transport = security["StrictTransportSecurity"]
    sent = {
        "Content-Security-Policy": security["ContentSecurityPolicy"]["ContentSecurityPolicy"],
        "X-Content-Type-Options": "nosniff" if security["ContentTypeOptions"]["Override"] else "",
        "X-Frame-Options": security["FrameOptions"]["FrameOption"],
        "Referrer-Policy": security["ReferrerPolicy"]["ReferrerPolicy"],
        "Strict-Transport-Security": f"max-age={transport['AccessControlMaxAgeSec']}"
        + ("; includeSubDomains" if transport["IncludeSubdomains"] else ""),
    } | {item["Header"]: item["Value"] for item in config["CustomHeadersConfig"]["Items"]}

    assert sent == json.loads((WEB / "headers.json").read_text())
    assert all(part["Override"] for part in security.values())
    assert distribution["DefaultCacheBehavior"]["ResponseHeadersPolicyId"]["Ref"].startswith("headers")


def test_only_cloudfront_can_read_the_console_files(stacks, distribution, origins):
    origin = origins[distribution["DefaultCacheBehavior"]["TargetOriginId"]]
    (control,) = stacks.of_type("AWS::CloudFront::OriginAccessControl").values()
    (policy,) = [
        resource["Properties"]
        for resource in stacks.templates["console"]["Resources"].values()
        if resource["Type"] == "AWS::S3::BucketPolicy"
    ]
    (allowed,) = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]

    assert stacks.text(origin["OriginAccessControlId"]) in stacks.of_type(
        "AWS::CloudFront::OriginAccessControl"
    )
    assert control["OriginAccessControlConfig"]["SigningBehavior"] == "always"
    assert allowed["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert allowed["Action"] == "s3:GetObject"
    source = stacks.text(allowed["Condition"]["StringEquals"]["AWS:SourceArn"])
    assert ":distribution/distribution" in source


def test_rest_paths_of_the_console_are_forwarded_to_the_stage_uncached(distribution, origins):
    behaviours = behaviours_of(distribution)
    disabled = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"  # AWS's CachingDisabled
    for route in REST:
        (found,) = [
            pattern
            for pattern in behaviours
            if pattern == route.path or (pattern.endswith("/*") and route.path.startswith(pattern[:-1]))
        ]
        path = json.dumps(origins[behaviours[found]["TargetOriginId"]]["OriginPath"])
        assert "restapi" in path
        assert behaviours[found]["CachePolicyId"] == disabled
        assert route.method in behaviours[found]["AllowedMethods"]


def test_the_websocket_path_of_the_console_is_rewritten_to_the_stage(stacks, distribution, origins):
    path = json.loads((WEB / "config.json").read_text())["socket"]
    behaviour = behaviours_of(distribution)[path]
    functions = stacks.of_type("AWS::CloudFront::Function")
    (stage,) = stacks.of_type("AWS::ApiGatewayV2::Stage").values()

    (used,) = behaviour["FunctionAssociations"]
    code = functions[stacks.text(used["FunctionARN"])]["FunctionCode"]
    assert f"event.request.uri = '/{stage['StageName']}'" in code
    assert used["EventType"] == "viewer-request"
    assert "OriginPath" not in origins[behaviour["TargetOriginId"]]
    assert "$connect" in SOCKET


def test_presigned_links_are_forwarded_to_the_bucket_without_cloudfront_signature(distribution, origins):
    behaviours = behaviours_of(distribution)
    for prefix in ("uploads/", "results/"):
        behaviour = behaviours[f"{prefix}*"]
        origin = origins[behaviour["TargetOriginId"]]
        assert ".s3.eu-central-1." in json.dumps(origin["DomainName"])
        assert not origin.get("OriginAccessControlId")
        # Everything but the host: the link is signed for the bucket's own.
        assert behaviour["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"


def test_the_console_requires_tls(distribution, origins):
    behaviours = [distribution["DefaultCacheBehavior"], *distribution["CacheBehaviors"]]
    assert {b["ViewerProtocolPolicy"] for b in behaviours} == {"redirect-to-https", "https-only"}
    for origin in origins.values():
        if "CustomOriginConfig" in origin:
            assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
            assert origin["CustomOriginConfig"]["OriginSSLProtocols"] == ["TLSv1.2"]


def test_a_custom_domain_requires_tls_1_2(without_endpoint):
    (one,) = without_endpoint.of_type("AWS::CloudFront::Distribution").values()

    assert one["DistributionConfig"]["Aliases"] == [OPTIONS["domain"]]
    viewer = one["DistributionConfig"]["ViewerCertificate"]
    assert viewer["AcmCertificateArn"] == OPTIONS["certificate"]
    assert viewer["MinimumProtocolVersion"].startswith("TLSv1.2")


def test_the_published_files_are_those_of_the_local_console():
    served = {*FILES} | {
        str(path.relative_to(WEB)) for name in FOLDERS for path in (WEB / name).rglob("*") if path.is_file()
    }

    assert set(console_files()) == {name for name in served if not name.endswith(("README.md", ".d.ts"))}


@mock_aws
def test_publishing_again_deletes_obsolete_files_and_sets_media_types():
    s3 = boto3.client("s3", region_name="eu-central-1")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_object(Bucket=BUCKET, Key="lib/gone.js", Body=b"")

    done = [*publish(s3, BUCKET)]

    there = {entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert there == set(console_files())
    assert done[-2:] == ["uploaded index.html", "deleted lib/gone.js"]
    for name in there:
        head = s3.head_object(Bucket=BUCKET, Key=name)
        assert head["CacheControl"] == "no-cache"
        assert head["ContentType"] == media_type(name)
    assert media_type("app.js") == "text/javascript"
    assert media_type("index.html") == "text/html"
    assert media_type("icon.svg") == "image/svg+xml"
    assert media_type("config.json") == "application/json"


def test_requests_prove_that_cloudfront_added_the_address_of_the_viewer(stacks, distribution, origins):
    """Otherwise all users of the console share the limits of a few addresses, or can choose their own."""
    functions = stacks.of_type("AWS::CloudFront::Function")
    secret = stacks.functions()["rest_api"]["Environment"]["Variables"]["ORIGIN_SECRET"]
    sent = {
        header["HeaderName"]: header["HeaderValue"]
        for origin in origins.values()
        for header in origin.get("OriginCustomHeaders", ())
    }

    assert stacks.text(sent.pop("x-anc-origin")) == stacks.text(secret)
    assert not sent
    assert stacks.text(secret).startswith("{{resolve:secretsmanager:originsecret")
    for path, behaviour in behaviours_of(distribution).items():
        if path.startswith(("/api", "/health", "/metrics", "/docs", "/openapi")):
            (association,) = behaviour["FunctionAssociations"]
            code = functions[stacks.text(association["FunctionARN"])]["FunctionCode"]
            assert association["EventType"] == "viewer-request"
            assert "headers['x-anc-viewer'] = { value: event.viewer.ip }" in code
            assert "OriginCustomHeaders" in origins[behaviour["TargetOriginId"]]


def test_users_sign_in_through_the_platform_only(stacks):
    """A client that allowed other flows would be a door without the platform's limits."""
    (client,) = stacks.of_type("AWS::Cognito::UserPoolClient").values()

    assert set(client["ExplicitAuthFlows"]) == {
        "ALLOW_ADMIN_USER_PASSWORD_AUTH",
        "ALLOW_REFRESH_TOKEN_AUTH",
    }
