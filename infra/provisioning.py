"""Fleet provisioning: new headsets get their own certificate with a claim certificate."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from anc.schemas.claim import CLAIMING, SERIAL, request_topics, response_topics, template_name
from infra.acknowledgements import acknowledge

CERTIFICATE_ID = "AWS::IoT::Certificate::Id"
# AWS documents this role for provisioning, but not which of its actions a template uses. So it is taken as it
# is, without what a template with neither policies nor certificates of others cannot use.
MANAGED = "service-role/AWSIoTThingsRegistration"
DENIED = {
    "policy": ("AttachPolicy", "AttachPrincipalPolicy", "CreatePolicy", "DetachPolicy"),
    "cert": ("AttachPolicy", "AttachPrincipalPolicy", "DetachPolicy"),
    "cacert": ("RegisterCertificate",),
}


class Provisioning(Construct):
    """The fleet provisioning template with its hook, and the policy of the claim certificate.

    The hook approves the request and attaches the headset policy to the certificate. The template then
    creates a thing with the serial number as its name, and attaches and activates the certificate. It does
    not attach the policy, because AWS IoT applies the template even if the certificate was revoked after the
    hook. The claim certificate allows provisioning only, and no client id that a headset could have.

    Parameters
    ----------
    hook : Function
        `functions/provisioner`.
    thing_type : str
        Type of all headsets.
    environment : str
        Part of the name of the template, which is part of the topic that headsets publish to.
    """

    def __init__(
        self, scope: Construct, id: str, hook: lambda_.Function, thing_type: str, environment: str
    ) -> None:
        super().__init__(scope, id)
        self._stack = cdk.Stack.of(self)
        self._environment = environment
        group = iot.CfnThingGroup(self, "group")
        allowed = lambda_.CfnPermission(
            self,
            "ask",
            action="lambda:InvokeFunction",
            function_name=hook.function_arn,
            principal="iot.amazonaws.com",
            source_account=self._stack.account,
            source_arn=self._arn("provisioningtemplate", template_name(environment)),
        )
        role = self._role()
        template = iot.CfnProvisioningTemplate(
            self,
            "template",
            template_name=template_name(environment),
            template_type="FLEET_PROVISIONING",
            enabled=True,
            description="Headsets with a claim certificate",
            provisioning_role_arn=role.role_arn,
            template_body=self._stack.to_json_string(_body(thing_type, group.ref)),
            pre_provisioning_hook=iot.CfnProvisioningTemplate.ProvisioningHookProperty(
                target_arn=hook.function_arn, payload_version="2020-04-01"
            ),
        )
        template.node.add_dependency(role, allowed)  # AWS IoT checks the permission at creation
        claim = iot.CfnPolicy(self, "claim", policy_document=self._claim_policy())
        cdk.CfnOutput(self._stack, "ClaimPolicy", value=claim.ref)

    def _role(self) -> iam.Role:
        role = iam.Role(
            self,
            "role",
            assumed_by=iam.ServicePrincipal("iot.amazonaws.com"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name(MANAGED)],
        )
        for kind, verbs in DENIED.items():
            everything = self._arn(kind, "*")
            role.add_to_policy(
                iam.PolicyStatement(
                    effect=iam.Effect.DENY,
                    actions=[f"iot:{verb}" for verb in verbs],
                    resources=[everything],
                )
            )
        acknowledge(
            role,
            f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{MANAGED}]",
            "AWS documents this policy for provisioning.",
        )
        return role

    def _claim_policy(self) -> dict[str, object]:
        responses = response_topics(self._environment)
        rights = {
            "iot:Connect": [self._arn("client", f"{CLAIMING}*")],
            "iot:Publish": [self._arn("topic", topic) for topic in request_topics(self._environment)],
            "iot:Subscribe": [self._arn("topicfilter", topic) for topic in responses],
            "iot:Receive": [self._arn("topic", topic) for topic in responses],
        }
        statements = [{"Effect": "Allow", "Action": what, "Resource": on} for what, on in rights.items()]
        return {"Version": "2012-10-17", "Statement": statements}

    def _arn(self, kind: str, name: str) -> str:
        return self._stack.format_arn(service="iot", resource=kind, resource_name=name)


def _body(kind: str, group: str) -> dict[str, object]:
    """Return the body of the provisioning template."""
    thing = {"ThingName": {"Ref": SERIAL}, "ThingTypeName": kind, "ThingGroups": [group]}
    certificate = {"CertificateId": {"Ref": CERTIFICATE_ID}, "Status": "Active"}
    return {
        "Parameters": {SERIAL: {"Type": "String"}, CERTIFICATE_ID: {"Type": "String"}},
        "Resources": {
            "thing": {
                "Type": "AWS::IoT::Thing",
                "Properties": thing,
                "OverrideSettings": dict.fromkeys(("ThingTypeName", "ThingGroups"), "DO_NOTHING"),
            },
            "certificate": {"Type": "AWS::IoT::Certificate", "Properties": certificate},
        },
    }
