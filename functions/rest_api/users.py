"""Endpoints for users and their API keys."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler.api_gateway import Router

from anc.records import ApiKey
from anc.schemas.rest.requests import Confirmation, NewKey, NewRole, NewUser, Password, SignIn
from anc.schemas.rest.responses import CreatedKey, Grant, Key, Keys, Me, SecondFactor, User, Users
from anc.services.access import accounts, api_keys, second_factor, users
from functions.rest_api.request_context import After, KeyId, Limit, UserId, caller, dependencies

router = Router()
TAGS = ["users"]


@router.post("/api/auth/token", tags=TAGS)
def sign_in(body: SignIn) -> Grant:
    """Return a bearer token for a username and a password, and a code if the user has a second factor."""
    grant = users.sign_in(body.username, body.password, dependencies(), body.code or "")
    return Grant.model_validate(grant)


@router.get("/api/users/me", tags=TAGS)
def who_am_i() -> Me:
    """Return the caller."""
    found = caller()
    name = accounts.name_of(found.user, dependencies())
    return Me(user=found.user, name=name, role=found.role, scopes=list(found.scopes))


@router.post("/api/users/me/keys", tags=TAGS, status_code=HTTPStatus.CREATED)
def make_key(body: NewKey) -> CreatedKey:
    """Create an API key. The key is only in this response."""
    key, token = api_keys.create(body.name, body.role, body.days, caller(), dependencies(), body.scopes)
    return CreatedKey(**_key(key).model_dump(), key=token)


@router.get("/api/users/me/keys", tags=TAGS)
def list_keys() -> Keys:
    """List the caller's API keys."""
    return Keys(keys=[_key(key) for key in api_keys.list_own(caller().user, dependencies())])


@router.delete("/api/users/me/keys/<id>", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def revoke_key(id: KeyId) -> None:
    """Revoke an API key at once, and close its sockets."""
    api_keys.revoke(id, caller(), dependencies())


@router.post("/api/users/me/second-factor", tags=TAGS, status_code=HTTPStatus.CREATED)
def begin_second_factor(body: Password) -> SecondFactor:
    """Create the secret of a second factor for an authenticator app; it counts once confirmed."""
    return SecondFactor.model_validate(second_factor.begin(body.password, caller(), dependencies()))


@router.put("/api/users/me/second-factor", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def confirm_second_factor(body: Confirmation) -> None:
    """Confirm a second factor with a code: every sign-in requires one from then on."""
    second_factor.confirm(body.password, body.code, caller(), dependencies())


@router.delete("/api/users/<id>/second-factor", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def remove_second_factor(id: UserId) -> None:
    """Remove a user's second factor, for a user who lost the authenticator app."""
    second_factor.remove(id, caller(), dependencies())


@router.post("/api/users", tags=TAGS, status_code=HTTPStatus.CREATED)
def add_user(body: NewUser) -> User:
    """Add a user."""
    return User.model_validate(
        users.create(body.username, body.password, body.role, caller(), dependencies())
    )


@router.get("/api/users", tags=TAGS)
def list_users(limit: Limit = 50, after: After = "") -> Users:
    """List the users, page by page."""
    page, following = users.list_all(limit, after, dependencies())
    return Users(users=[User.model_validate(user) for user in page], next=following or None)


@router.get("/api/users/<id>", tags=TAGS)
def get_user(id: UserId) -> User:
    """Return a user."""
    return User.model_validate(users.find(id, dependencies()))


@router.patch("/api/users/<id>", tags=TAGS)
def change_role(id: UserId, body: NewRole) -> User:
    """Change a user's role: a higher one from the next token on, a lower one at once, with keys revoked."""
    return User.model_validate(users.set_role(id, body.role, caller(), dependencies()))


@router.delete("/api/users/<id>", tags=TAGS, status_code=HTTPStatus.NO_CONTENT)
def remove_user(id: UserId) -> None:
    """Remove a user with all keys, sockets, sessions, recordings and headsets. Repeat it if it fails."""
    users.remove(id, caller(), dependencies())


def _key(key: ApiKey) -> Key:
    return Key(
        id=key.key,
        name=key.name,
        role=key.role,
        scopes=list(key.scopes),
        created=key.created,
        expires=key.expires,
    )
