"""How long tokens, API keys, sockets and links are valid. `docs/security.md` lists the same limits."""

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400

SIGN_IN_TOKEN_HOURS = 1.0  # a token issued for a user name and a password
MAX_TOKEN_HOURS = 12.0  # every other token, whatever its issuer: a longer one is refused
DEFAULT_API_KEY_DAYS = 90
MAX_API_KEY_DAYS = 365

SOCKET_HOURS = 2  # API Gateway closes every WebSocket after two hours
UPLOAD_LINK_HOURS = 6
DOWNLOAD_LINK_HOURS = 1
LOGIN_LINK_MINUTES = 10

# The record of a removed user must outlive every credential issued to them: a token of a user without a
# record is accepted with the role that it names.
REMOVED_ACCOUNT_DAYS = MAX_API_KEY_DAYS + 35
AUDIT_DAYS = 365
