"""Failures that a person can cause, and so can mend."""


class UserError(Exception):
    """Something in the person's files or environment is wrong: exit status 1.

    The message names the file or value and says how to mend it.
    """

    exit_status = 1


class UsageError(UserError):
    """The request itself is wrong (an unknown option, name or value): exit status 2."""

    exit_status = 2


class MissingError(UserError):
    """What was asked for is not on this machine, and nothing was asked to fetch it: exit status 4.

    The message names it and says how to get it.
    """

    exit_status = 4
