"""The web console: a private bucket, and a CloudFront distribution for it, both APIs and user files."""

import json

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from constructs import Construct

from anc.client_address import SECRET_HEADER, VIEWER_HEADER
from functions.routes import ARRIVALS, REST
from infra.acknowledgements import acknowledge
from infra.api import Api
from infra.data import RESULTS, Data
from infra.environment import Environment
from infra.firewall import Edge
from infra.wheels import ROOT

HEADERS: dict[str, str] = json.loads((ROOT / "web" / "headers.json").read_text())
SOCKET_PATH: str = json.loads((ROOT / "web" / "config.json").read_text())["socket"]
SECURITY = (
    "Content-Security-Policy",
    "Referrer-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
)  # CloudFront has dedicated fields for these headers


class Console(cdk.Stack):
    """Bucket and distribution.

    The console may connect to its own origin only (`web/headers.json`), so the distribution forwards to both
    APIs and to the bucket of presigned links, without caching.
    """

    def __init__(
        self, scope: Construct, id: str, environment: Environment, data: Data, api: Api, edge: Edge | None
    ) -> None:
        super().__init__(scope, id, env=environment.target, cross_region_references=edge is not None)
        files = self._files(environment)
        headers = _headers(self)
        rest = origins.RestApiOrigin(api.rest.api, custom_headers={SECRET_HEADER: data.origin_secret})
        add_viewer = cloudfront.Function(
            self,
            "add_viewer",
            code=cloudfront.FunctionCode.from_inline(ADD_VIEWER),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
            comment="Add the address of the viewer",
        )
        sockets = origins.HttpOrigin(cdk.Fn.select(2, cdk.Fn.split("/", api.socket.url)))
        sound = origins.S3BucketOrigin.with_bucket_defaults(
            s3.Bucket.from_bucket_attributes(
                self,
                "sound",
                bucket_arn=data.export_value(data.objects.bucket_arn),
                region=self.region,
            )
        )
        to_stage = cloudfront.Function(
            self,
            "to_stage",
            code=cloudfront.FunctionCode.from_inline(_rewrite_to(f"/{environment.name}")),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
            comment="Rewrite the path to the stage, the only path of a WebSocket API",
        )
        self._distribution = cloudfront.Distribution(
            self,
            "distribution",
            comment=f"Console of anc-{environment.name}",
            default_root_object="index.html",
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(files),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                response_headers_policy=headers,
            ),
            additional_behaviors={
                **{path: _forwarded(rest, add_viewer) for path in rest_paths()},
                SOCKET_PATH: _forwarded(sockets, to_stage),
                **{f"{prefix}*": _forwarded(sound) for prefix in (ARRIVALS.prefix, RESULTS)},
            },
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            price_class=cloudfront.PriceClass.PRICE_CLASS_100,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021
            if environment.domain
            else None,  # CloudFront's own domain has a fixed policy
            domain_names=[environment.domain] if environment.domain else None,
            certificate=self._certificate(environment),
            web_acl_id=edge.acl.attr_arn if edge else None,
        )
        self._acknowledge(environment, edge)
        cdk.CfnOutput(self, "ConsoleUrl", value=f"https://{self._distribution.distribution_domain_name}")
        cdk.CfnOutput(self, "ConsoleBucket", value=files.bucket_name)

    def _files(self, environment: Environment) -> s3.Bucket:
        files = s3.Bucket(
            self,
            "files",
            encryption=s3.BucketEncryption.S3_MANAGED,  # public files
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            versioned=environment.kept,
            lifecycle_rules=[s3.LifecycleRule(noncurrent_version_expiration=cdk.Duration.days(90))],
            removal_policy=cdk.RemovalPolicy.DESTROY,  # can be published again from the repository
        )
        acknowledge(files, "AwsSolutions-S1", "Public files; access logs are not needed.")
        return files

    def _certificate(self, environment: Environment) -> acm.ICertificate | None:
        if not environment.domain:
            return None
        return acm.Certificate.from_certificate_arn(self, "certificate", environment.certificate)

    def _acknowledge(self, environment: Environment, edge: Edge | None) -> None:
        one = self._distribution
        acknowledge(one, "AwsSolutions-CFR1", "The service is available worldwide.")
        acknowledge(one, "AwsSolutions-CFR3", "Access logs would store presigned links; the APIs log routes.")
        if edge is None:
            acknowledge(one, "AwsSolutions-CFR2", "Only prod has a web ACL.")
        if not environment.domain:
            acknowledge(
                one, "AwsSolutions-CFR4", "CloudFront's own domain has a fixed TLS version; others use 1.2."
            )


def rest_paths() -> list[str]:
    """Return path patterns that cover the REST API."""
    parts = {tuple(route.path.split("/")[1:]) for route in REST}
    return sorted({f"/{first}/*" if rest else f"/{first}" for first, *rest in parts})


def _forwarded(
    origin: cloudfront.IOrigin, function: cloudfront.Function | None = None
) -> cloudfront.BehaviorOptions:
    """Return a behaviour without caching that forwards everything but the host header."""
    event = cloudfront.FunctionEventType.VIEWER_REQUEST
    return cloudfront.BehaviorOptions(
        origin=origin,
        viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
        allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
        cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
        origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
        function_associations=[cloudfront.FunctionAssociation(event_type=event, function=function)]
        if function
        else None,
    )


# It replaces a header of this name that the viewer sends.
ADD_VIEWER = (
    "function handler(event) {"
    f" event.request.headers['{VIEWER_HEADER}'] = {{ value: event.viewer.ip }}; return event.request; }}"
)


def _rewrite_to(path: str) -> str:
    return f"function handler(event) {{ event.request.uri = '{path}'; return event.request; }}"


def _headers(scope: Construct) -> cloudfront.ResponseHeadersPolicy:
    """Return the same response headers that the local platform sends with the console."""
    age, *rest = HEADERS["Strict-Transport-Security"].removeprefix("max-age=").split("; ")
    return cloudfront.ResponseHeadersPolicy(
        scope,
        "headers",
        security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
            content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                content_security_policy=HEADERS["Content-Security-Policy"], override=True
            ),
            content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
            frame_options=cloudfront.ResponseHeadersFrameOptions(
                frame_option=cloudfront.HeadersFrameOption[HEADERS["X-Frame-Options"]], override=True
            ),
            referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
            ),
            strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                access_control_max_age=cdk.Duration.seconds(int(age)),
                include_subdomains="includeSubDomains" in rest,
                override=True,
            ),
        ),
        custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
            custom_headers=[
                cloudfront.ResponseCustomHeader(header=name, value=value, override=True)
                for name, value in HEADERS.items()
                if name not in SECURITY
            ]
        ),
    )
