"""Check digits of the numbers on Chinese licences."""

from __future__ import annotations

from collections.abc import Sequence

CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""The characters of a unified social credit code: no I, O, S, V and Z."""


def credit_check(code: str) -> str:
    """The last of 18 characters of a unified social credit code. Source: GB 32100-2015.

    >>> credit_check("91350100M000100Y4")
    '3'
    """
    total = sum(CREDIT.index(char) * 3**place for place, char in enumerate(code))
    return CREDIT[-total % 31]


def identity_check(digits: str) -> str:
    """The last of 18 characters of a citizen's number, ISO 7064's MOD 11-2. Source: GB 11643-1999.

    >>> identity_check("11010519491231002")
    'X'
    """
    total = sum(int(digit) * 2 ** (17 - place) for place, digit in enumerate(digits))
    return "10X98765432"[total % 11]


def organisation_check(code: str) -> str:
    """The ninth character of an organisation's code. Source: GB 11714-1997.

    >>> organisation_check("D2143569")
    'X'
    """
    weights: Sequence[int] = (3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(char, 36) * weight for char, weight in zip(code, weights, strict=True))
    return "0123456789X"[-total % 11]


def permit_check(digits: str) -> str:
    """The last digit of a food permit's number. Source: ISO 7064, MOD 11,10.

    >>> permit_check("0794")
    '5'
    """
    product = 10
    for digit in digits:
        product = 2 * ((product + int(digit)) % 10 or 10) % 11
    return str((11 - product) % 10)


def account_check(digits: str) -> str:
    """The last digit of a bank account's number, as of cards. Source: ISO/IEC 7812-1, Luhn's formula.

    >>> account_check("7992739871")
    '3'
    """
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits)))
    return str(-sum(value - 9 * (value > 9) for value in doubled) % 10)
