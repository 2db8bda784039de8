"""User accounts in a Cognito user pool with one group per role."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, get_args

from anc.aws import clients
from anc.ports import CodeRequired, Conflict, Grant
from anc.records import Role, User
from anc.schemas.refusal import Refused
from anc.services.access.identity import role_of

MAX_PAGE = 60  # users per request, a limit of Cognito
TOTP = "SOFTWARE_TOKEN_MFA"


class CognitoUsers:
    """`anc.ports.Users` on a user pool; `user` is the subject of its tokens.

    A user in no group is a listener. `sign_in` returns None for a user of whom Cognito requires another step,
    such as a new password; an admin sets a permanent one.

    Parameters
    ----------
    pool, client_id : str
        Ids of the user pool and of the app client that permits `ADMIN_USER_PASSWORD_AUTH`.
    client : callable
        Returns the Cognito client.
    """

    def __init__(self, pool: str, client_id: str, client: Callable[[], Any] = clients.cognito) -> None:
        self._pool = pool
        self._client_id = client_id
        self._client = client

    def sign_in(self, name: str, password: str, code: str = "") -> Grant | None:
        """See `Users.sign_in`."""
        granted = self._tokens(name, password, code)
        if granted is None:
            return None
        cognito = self._client()
        try:
            user = cognito.admin_get_user(UserPoolId=self._pool, Username=name)["Username"]
        except cognito.exceptions.UserNotFoundException:
            return None
        return Grant(granted["IdToken"], granted["ExpiresIn"], self._role(user), user)

    def begin_second_factor(self, name: str, password: str) -> str | None:
        """See `Users.begin_second_factor`."""
        granted = self._tokens(name, password)
        if granted is None:
            return None
        answer = self._client().associate_software_token(AccessToken=granted["AccessToken"])
        return str(answer["SecretCode"])

    def confirm_second_factor(self, name: str, password: str, code: str) -> bool:
        """See `Users.confirm_second_factor`."""
        granted = self._tokens(name, password)
        if granted is None:
            return False
        cognito = self._client()
        errors = cognito.exceptions
        try:
            cognito.verify_software_token(AccessToken=granted["AccessToken"], UserCode=code)
        except (errors.CodeMismatchException, errors.EnableSoftwareTokenMFAException):
            return False
        self._set_second_factor(name, True)
        return True

    def remove_second_factor(self, user: str) -> None:
        """See `Users.remove_second_factor`."""
        with suppress(self._client().exceptions.UserNotFoundException):
            self._set_second_factor(user, False)

    def _set_second_factor(self, user: str, enabled: bool) -> None:
        self._client().admin_set_user_mfa_preference(
            UserPoolId=self._pool,
            Username=user,
            SoftwareTokenMfaSettings={"Enabled": enabled, "PreferredMfa": enabled},
        )

    def _tokens(self, name: str, password: str, code: str = "") -> dict[str, Any] | None:
        """Return the tokens of Cognito, or None if it refuses or requires another step."""
        cognito = self._client()
        errors = cognito.exceptions
        app = {"UserPoolId": self._pool, "ClientId": self._client_id}
        try:
            answer = cognito.admin_initiate_auth(
                **app,
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": name, "PASSWORD": password},
            )
            if answer.get("ChallengeName") == TOTP:
                if not code:
                    raise CodeRequired(name)
                user = answer["ChallengeParameters"].get("USER_ID_FOR_SRP", name)  # `name` may be an alias
                answer = cognito.admin_respond_to_auth_challenge(
                    **app,
                    ChallengeName=TOTP,
                    Session=answer["Session"],
                    ChallengeResponses={"USERNAME": user, f"{TOTP}_CODE": code},
                )
        except (
            errors.NotAuthorizedException,
            errors.UserNotFoundException,
            errors.UserNotConfirmedException,
            errors.CodeMismatchException,
            errors.ExpiredCodeException,  # of a code that was used before
        ):
            return None
        granted: dict[str, Any] | None = answer.get("AuthenticationResult")
        return granted

    def create(self, name: str, password: str, role: Role) -> User:
        """See `Users.create`."""
        cognito = self._client()
        try:
            created = cognito.admin_create_user(
                UserPoolId=self._pool, Username=name, MessageAction="SUPPRESS"
            )
        except cognito.exceptions.UsernameExistsException as fault:
            raise Conflict(name) from fault
        except cognito.exceptions.InvalidParameterException as fault:
            raise Refused("bad_field", "username: must be an e-mail address") from fault
        user = created["User"]["Username"]
        try:
            cognito.admin_set_user_password(
                UserPoolId=self._pool, Username=user, Password=password, Permanent=True
            )
        except cognito.exceptions.InvalidPasswordException as fault:
            self.delete(user)
            raise Refused("bad_field", "password: too simple; mix cases, digits and symbols") from fault
        self.set_role(user, role)
        return _user(created["User"], role)

    def get(self, user: str) -> User | None:
        """See `Users.get`."""
        cognito = self._client()
        try:
            found = cognito.admin_get_user(UserPoolId=self._pool, Username=user)
        except cognito.exceptions.UserNotFoundException:
            return None
        found["Attributes"] = found["UserAttributes"]
        return _user(found, self._role(user))

    def list(self, limit: int = 50, after: str = "") -> tuple[Sequence[User], str]:
        """See `Users.list`."""
        page = {"PaginationToken": after} if after else {}
        answer = self._client().list_users(UserPoolId=self._pool, Limit=min(limit, MAX_PAGE), **page)
        roles = {user: role for role in get_args(Role)[1:] for user in self._members(role)}
        users = [_user(found, roles.get(found["Username"], "listener")) for found in answer["Users"]]
        return users, answer.get("PaginationToken", "")

    def set_role(self, user: str, role: Role) -> None:
        """See `Users.set_role`."""
        cognito = self._client()
        try:
            for group in set(self._groups(user)) - {role}:
                cognito.admin_remove_user_from_group(UserPoolId=self._pool, Username=user, GroupName=group)
            cognito.admin_add_user_to_group(UserPoolId=self._pool, Username=user, GroupName=role)
        except cognito.exceptions.UserNotFoundException as fault:
            raise LookupError(user) from fault

    def delete(self, user: str) -> None:
        """See `Users.delete`."""
        cognito = self._client()
        try:
            cognito.admin_delete_user(UserPoolId=self._pool, Username=user)
        except cognito.exceptions.UserNotFoundException:
            return

    def _role(self, user: str) -> Role:
        return role_of(self._groups(user))

    def _groups(self, user: str) -> Sequence[str]:
        answer = self._client().admin_list_groups_for_user(UserPoolId=self._pool, Username=user)
        return [group["GroupName"] for group in answer["Groups"]]

    def _members(self, group: str) -> Sequence[str]:
        # Listing the few operators and admins is cheaper than one request per user for its groups.
        pages = self._client().get_paginator("list_users_in_group")
        found = pages.paginate(UserPoolId=self._pool, GroupName=group)
        return [user["Username"] for page in found for user in page["Users"]]


def _user(found: dict[str, Any], role: Role) -> User:
    attributes = {each["Name"]: each["Value"] for each in found["Attributes"]}
    name = attributes.get("email") or found["Username"]
    return User(user=found["Username"], name=name, role=role, created=found["UserCreateDate"].timestamp())
