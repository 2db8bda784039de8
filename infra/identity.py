"""Identities: users in a Cognito user pool, headsets by certificate."""

import aws_cdk as cdk
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_iot as iot
from constructs import Construct

from anc.lifetimes import SIGN_IN_TOKEN_HOURS
from functions.headset_rights import answer_topics, publish_topics, received_topics
from infra.acknowledgements import acknowledge
from infra.environment import Environment

ROLES = ("listener", "operator", "admin")
THING = "${iot:Connection.Thing.ThingName}"
CLIENT = "${iot:ClientId}"


class Identity(cdk.Stack):
    """The user pool with a group per role, and the IoT policy of headset certificates.

    Attributes
    ----------
    users : UserPool
    issuer, audience, jwks_url : str
        Issuer, audience and key set URL of the users' ID tokens.
    thing_policy, thing_type : str
        Names of the IoT policy and of the type of all headsets.
    """

    def __init__(self, scope: Construct, id: str, environment: Environment) -> None:
        super().__init__(scope, id, env=environment.target)
        self.users = users = cognito.UserPool(
            self,
            "people",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            password_policy=cognito.PasswordPolicy(
                min_length=12,
                require_digits=True,
                require_lowercase=True,
                require_uppercase=True,
                require_symbols=True,
            ),
            mfa=cognito.Mfa.OPTIONAL,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
            deletion_protection=environment.kept,
            removal_policy=environment.removal,
        )
        acknowledge(users, "AwsSolutions-COG2", "Optional by design: docs/security.md names the risk.")
        acknowledge(users, "AwsSolutions-COG8", "The Essentials plan has all required features.")
        for role in ROLES:
            cognito.CfnUserPoolGroup(self, role, user_pool_id=users.user_pool_id, group_name=role)
        client = users.add_client(
            "client",
            # Only the platform, whose limits apply, can sign users in.
            auth_flows=cognito.AuthFlow(admin_user_password=True),
            id_token_validity=cdk.Duration.hours(SIGN_IN_TOKEN_HOURS),
            prevent_user_existence_errors=True,
            disable_o_auth=True,
        )
        self.issuer = f"https://cognito-idp.{self.region}.amazonaws.com/{users.user_pool_id}"
        self.audience = client.user_pool_client_id
        self.jwks_url = f"{self.issuer}/.well-known/jwks.json"
        policy = iot.CfnPolicy(self, "headset", policy_document=self._headset_policy(environment.name))
        self.thing_policy = policy.ref
        self.thing_type = iot.CfnThingType(self, "headset_type").ref
        cdk.CfnOutput(self, "UserPool", value=users.user_pool_id)
        cdk.CfnOutput(self, "Client", value=self.audience)

    def _headset_policy(self, environment: str) -> dict[str, object]:
        # The statement on connections makes the client id the name of the thing, and its variable is shorter:
        # a policy has at most 2,048 characters.
        answers = answer_topics(CLIENT)
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "iot:Connect",
                    "Resource": self._iot("client", THING),
                    "Condition": {"Bool": {"iot:Connection.Thing.IsAttached": "true"}},
                },
                {
                    "Effect": "Allow",
                    "Action": "iot:Publish",
                    "Resource": [self._iot("topic", topic) for topic in publish_topics(CLIENT, environment)],
                },
                {
                    "Effect": "Allow",
                    "Action": "iot:Subscribe",
                    "Resource": [self._iot("topicfilter", name) for name in answers],
                },
                {
                    "Effect": "Allow",
                    "Action": "iot:Receive",
                    "Resource": [self._iot("topic", topic) for topic in received_topics(CLIENT)],
                },
            ],
        }

    def _iot(self, kind: str, name: str) -> str:
        return self.format_arn(service="iot", resource=kind, resource_name=name)
