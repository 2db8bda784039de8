"""Options that exclude each other, and options that have no effect where they are."""

from collections.abc import Iterator

from tests.infra.conftest import Stacks, Template
from tests.infra.rulebook import fault, rule
from tests.infra.rulebook.templates import of_type, resources

MAX_METRICS = 10
# Source: Amazon CloudFront Developer Guide, "Use managed origin request policies"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
ALL_BUT_HOST = "b689b0a8-53d0-40ab-baf2-68738e2966ac"


@rule
def serverless_endpoints_have_no_network_isolation_or_vpc(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html

    Both are features that serverless inference does not support.
    """
    variants = [
        variant
        for _, configuration in of_type(stacks, "AWS::SageMaker::EndpointConfig")
        for variant in configuration["ProductionVariants"]
    ]
    models = stacks.of_type("AWS::SageMaker::Model")
    for variant in variants:
        if "ServerlessConfig" in variant:
            model = models[stacks.text(variant["ModelName"])]
            if model.get("EnableNetworkIsolation") or "VpcConfig" in model:
                yield "the model of a serverless endpoint is isolated or in a VPC"
            if "InstanceType" in variant or "InitialInstanceCount" in variant:
                yield "a serverless variant names instances"


@fault(serverless_endpoints_have_no_network_isolation_or_vpc)
def an_isolated_model(templates: dict[str, Template]) -> None:
    for _, _, resource in resources(Stacks(templates)):
        if resource["Type"] == "AWS::SageMaker::Model":
            resource["Properties"]["EnableNetworkIsolation"] = True


@rule
def alarms_use_at_most_ten_metrics(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html"""
    for name, alarm in of_type(stacks, "AWS::CloudWatch::Alarm"):
        if len([part for part in alarm.get("Metrics", ()) if "MetricStat" in part]) > MAX_METRICS:
            yield f"{name} is an alarm on more than {MAX_METRICS} metrics"


@fault(alarms_use_at_most_ten_metrics)
def an_alarm_on_too_many_metrics(templates: dict[str, Template]) -> None:
    for resource in templates["monitoring"]["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
            resource["Properties"]["Metrics"] *= MAX_METRICS + 1


@rule
def authorizers_of_sockets_require_what_every_request_has(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html

    API Gateway answers 401 without asking the authorizer if a source is missing. No page says that a
    WebSocket API accepts an empty list; the example of a request there has the header Host.
    """
    for name, authorizer in of_type(stacks, "AWS::ApiGatewayV2::Authorizer"):
        if authorizer.get("IdentitySource") != ["route.request.header.Host"]:
            yield f"{name} requires {authorizer.get('IdentitySource')}"


@fault(authorizers_of_sockets_require_what_every_request_has)
def an_authorizer_without_identity_source(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if resource["Type"] == "AWS::ApiGatewayV2::Authorizer":
            resource["Properties"]["IdentitySource"] = []


@rule
def a_tls_version_of_the_distribution_needs_a_domain(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/secure-connections-supported-viewer-protocols-ciphers.html

    CloudFront's own certificate has TLS 1.0 or later; with another minimum, CloudFront ignores or refuses it.
    """
    for name, distribution in of_type(stacks, "AWS::CloudFront::Distribution"):
        certificate = distribution["DistributionConfig"].get("ViewerCertificate", {})
        own = "AcmCertificateArn" in certificate
        if own != (certificate.get("MinimumProtocolVersion") == "TLSv1.2_2021"):
            yield f"{name}: {certificate}"


@fault(a_tls_version_of_the_distribution_needs_a_domain)
def a_tls_version_without_certificate(templates: dict[str, Template]) -> None:
    for resource in templates["console"]["Resources"].values():
        if resource["Type"] == "AWS::CloudFront::Distribution":
            resource["Properties"]["DistributionConfig"]["ViewerCertificate"] = {
                "CloudFrontDefaultCertificate": True,
                "MinimumProtocolVersion": "TLSv1.2_2021",
            }


@rule
def alarms_are_in_the_region_of_their_metrics(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html

    CloudFront and its web ACLs write their metrics in us-east-1 only, and an alarm sees those of its region.
    """
    for stack, name, resource in resources(stacks):
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            of_edge = "AWS/CloudFront" in str(resource) or "-cloudfront'" in str(resource)
            if of_edge != (stack == "edge"):
                yield f"{name} is in the stack {stack}"


@fault(alarms_are_in_the_region_of_their_metrics)
def an_alarm_on_cloudfront_elsewhere(templates: dict[str, Template]) -> None:
    edge, here = templates["edge"]["Resources"], templates["monitoring"]["Resources"]
    here |= {
        name: resource for name, resource in edge.items() if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


@rule
def enhanced_tls_policies_get_requests_of_their_own_host(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html

    A policy `SecurityPolicy_...` needs an endpoint access mode. In the mode STRICT, the TLS server name must
    match the header Host: CloudFront must not forward that of the viewer.
    """
    apis = [api for _, api in of_type(stacks, "AWS::ApiGateway::RestApi")]
    for api in apis:
        if api["SecurityPolicy"].startswith("SecurityPolicy_") != ("EndpointAccessMode" in api):
            yield f"{api['Name']}: {api['SecurityPolicy']} with the mode {api.get('EndpointAccessMode')}"
    strict = any(api.get("EndpointAccessMode") == "STRICT" for api in apis)
    for name, distribution in of_type(stacks, "AWS::CloudFront::Distribution"):
        for behavior in distribution["DistributionConfig"].get("CacheBehaviors", ()):
            if strict and behavior.get("OriginRequestPolicyId") != ALL_BUT_HOST:
                yield f"{name} may forward the viewer's Host for {behavior['PathPattern']}"


@fault(enhanced_tls_policies_get_requests_of_their_own_host)
def a_tls_policy_without_access_mode(templates: dict[str, Template]) -> None:
    for resource in templates["api"]["Resources"].values():
        if resource["Type"] == "AWS::ApiGateway::RestApi":
            del resource["Properties"]["EndpointAccessMode"]


@fault(enhanced_tls_policies_get_requests_of_their_own_host)
def a_distribution_that_forwards_the_host(templates: dict[str, Template]) -> None:
    for resource in templates["console"]["Resources"].values():
        if resource["Type"] == "AWS::CloudFront::Distribution":
            for behavior in resource["Properties"]["DistributionConfig"]["CacheBehaviors"]:
                behavior["OriginRequestPolicyId"] = ALL_VIEWER


@rule
def frames_are_answered_by_route_responses(stacks: Stacks) -> Iterator[str]:
    """https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-route-response.html

    A WebSocket API drops what the integration returns, unless the route has a response with the key
    `$default`, the only one that API Gateway knows.
    """
    answered = {
        stacks.text(response["RouteId"])
        for _, response in of_type(stacks, "AWS::ApiGatewayV2::RouteResponse")
        if response["RouteResponseKey"] == "$default"
    }
    for name, route in of_type(stacks, "AWS::ApiGatewayV2::Route"):
        if route["RouteKey"] not in ("$connect", "$disconnect") and name not in answered:
            yield f"frames of the route {route['RouteKey']} get no answer"


@fault(frames_are_answered_by_route_responses)
def a_route_without_response(templates: dict[str, Template]) -> None:
    own = templates["api"]["Resources"]
    for name in [name for name, each in own.items() if each["Type"] == "AWS::ApiGatewayV2::RouteResponse"]:
        del own[name]
