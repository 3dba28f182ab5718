"""Errors that a user can fix, with the exit status of each."""


class UserError(Exception):
    """Something in the user's files or environment is wrong: exit status 1.

    The message names the file or value and how to fix it.
    """

    exit_status = 1


class UsageError(UserError):
    """The request itself is wrong (an unknown option, name or value): exit status 2."""

    exit_status = 2


class MissingError(UserError):
    """Something needed is not on this machine, and downloading was not requested: exit status 4.

    The message names it and how to get it.
    """

    exit_status = 4
