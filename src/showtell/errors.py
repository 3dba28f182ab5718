"""Failures that a person can cause, and so can mend."""


class UserError(Exception):
    """Something in the person's files or environment is wrong: exit status 1.

    The message names the file or value and says how to mend it.
    """

    exit_status = 1


class UsageError(UserError):
    """The request itself is wrong (an unknown option, name or value): exit status 2."""

    exit_status = 2
