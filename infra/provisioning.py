"""How headsets fresh from the factory come to a certificate of their own, with the factory's claim."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from anc.schemas.claim import CLAIMING, REQUEST_TOPICS, RESPONSE_TOPICS, SERIAL, TEMPLATE
from infra.acknowledgements import acknowledge_wildcard

CERTIFICATE_ID = "AWS::IoT::Certificate::Id"
# What AWS's managed policy for this, AWSIoTThingsRegistration, allows on everything: here without all that
# makes or attaches policies or takes foreign certificates, and on what the template names.
OF_THINGS = (
    "AttachThingPrincipal",
    "CreateThing",
    "DescribeThing",
    "ListThingGroupsForThing",
    "ListThingPrincipals",
    "UpdateThing",
)
OF_CERTIFICATES = (
    "AttachThingPrincipal",
    "DescribeCertificate",
    "ListAttachedPolicies",
    "ListPrincipalThings",
    "UpdateCertificate",
)


class Provisioning(Construct):
    """The fleet provisioning template with its hook, and the policy of the claim certificate.

    The template makes a thing of the headset's type and group under its serial number, attaches its
    certificate and turns it on; the hook has its say before, and gives the certificate the one policy of all
    headsets. The template does not: AWS IoT carries it out whatever has happened since the hook said yes, and
    a certificate that was revoked meanwhile must open nothing. Who holds the claim can ask for that and for
    nothing else: not even connect under a name that could be a headset's.

    Parameters
    ----------
    hook : Function
        `functions/provisioner`.
    """

    def __init__(self, scope: Construct, id: str, hook: lambda_.Function) -> None:
        super().__init__(scope, id)
        self._stack = cdk.Stack.of(self)
        kind = iot.CfnThingType(self, "type")
        group = iot.CfnThingGroup(self, "group")
        allowed = lambda_.CfnPermission(
            self,
            "ask",
            action="lambda:InvokeFunction",
            function_name=hook.function_arn,
            principal="iot.amazonaws.com",
            source_account=self._stack.account,
            source_arn=self._arn("provisioningtemplate", TEMPLATE),
        )
        role = self._role(kind.ref, group.ref)
        template = iot.CfnProvisioningTemplate(
            self,
            "template",
            template_name=TEMPLATE,  # headsets name it in the topic that they publish to
            template_type="FLEET_PROVISIONING",
            enabled=True,
            description="A headset that comes with the factory's claim",
            provisioning_role_arn=role.role_arn,
            template_body=self._stack.to_json_string(_body(kind.ref, group.ref)),
            pre_provisioning_hook=iot.CfnProvisioningTemplate.ProvisioningHookProperty(
                target_arn=hook.function_arn, payload_version="2020-04-01"
            ),
        )
        template.node.add_dependency(role, allowed)  # AWS IoT asks for the right when the template is made
        claim = iot.CfnPolicy(self, "claim", policy_document=self._claim_policy())
        cdk.CfnOutput(self._stack, "ClaimPolicy", value=claim.ref)

    def _role(self, kind: str, group: str) -> iam.Role:
        role = iam.Role(self, "role", assumed_by=iam.ServicePrincipal("iot.amazonaws.com"))
        things, certificates = self._arn("thing", "*"), self._arn("cert", "*")
        rights = {
            things: (*OF_THINGS, "AddThingToThingGroup"),
            certificates: OF_CERTIFICATES,
            self._arn("thingtype", kind): ("DescribeThingType",),
            self._arn("thinggroup", group): ("AddThingToThingGroup", "DescribeThingGroup"),
        }
        for resource, verbs in rights.items():
            role.add_to_policy(
                iam.PolicyStatement(actions=[f"iot:{verb}" for verb in verbs], resources=[resource])
            )
        for wildcard in (things, certificates):
            acknowledge_wildcard(role, wildcard, "Headsets are named when they come.")
        return role

    def _claim_policy(self) -> dict[str, object]:
        rights = {
            "iot:Connect": [self._arn("client", f"{CLAIMING}*")],
            "iot:Publish": [self._arn("topic", topic) for topic in REQUEST_TOPICS],
            "iot:Subscribe": [self._arn("topicfilter", topic) for topic in RESPONSE_TOPICS],
            "iot:Receive": [self._arn("topic", topic) for topic in RESPONSE_TOPICS],
        }
        statements = [{"Effect": "Allow", "Action": what, "Resource": on} for what, on in rights.items()]
        return {"Version": "2012-10-17", "Statement": statements}

    def _arn(self, kind: str, name: str) -> str:
        return self._stack.format_arn(service="iot", resource=kind, resource_name=name)


def _body(kind: str, group: str) -> dict[str, object]:
    """Return the template, in AWS IoT's own words."""
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
