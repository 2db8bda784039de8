"""How long tokens, keys and the records about them are valid: the one place for these limits."""

HOUR_S, DAY_S = 3600, 86_400

SIGN_IN_HOURS = 1.0  # token of somebody who signs in with a password
TOKEN_HOURS = 12.0  # the longest of any token, whoever signs it
KEY_DAYS = 365  # the longest of an API key

# A removed person's record must outlive everything that was issued to them: without it a token would be
# taken at its word again.
REMOVED_KEPT_DAYS = KEY_DAYS + 35
AUDIT_KEPT_DAYS = 365
