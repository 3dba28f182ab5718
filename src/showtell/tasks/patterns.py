"""Patterns and formats of JSON schemas as regular expressions of the grammar.

A schema's patterns are ECMA-262's, the grammar's are Rust's. Where the two read one text differently, it is
rewritten to what both accept, or refused.
"""

from __future__ import annotations

import re
from typing import Any

from showtell.errors import UsageError


class SchemaError(UsageError):
    """A JSON schema that no answer can be promised to keep."""


BLANKS = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""White space to both."""
DISPUTED = r"\u001c-\u001f\u0085\ufeff"
"""White space to one of ECMA-262, Rust and Python, but not to all."""
SAME = {r"\s": f"[{BLANKS}]", r"\S": f"[^{BLANKS}{DISPUTED}]", ".": r"[^\n\r\u2028\u2029]"}
SAME_EXCLUDED = {r"\s": BLANKS + DISPUTED, r"\S": f"[^{BLANKS}]"}
"""Inside `[^...]`, where the larger set is the safe one."""
ESCAPES = set("dDwWsSbBfnrtvxupP")
"""Letters that mean the same after a backslash, blanks aside."""

_YEAR = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"
_BY_FOUR = "(0[48]|[2468][048]|[13579][26])"
_LEAP = f"([0-9]{{2}}{_BY_FOUR}|{_BY_FOUR}00)"
_MONTHS = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_DATE = f"({_YEAR}-{_MONTHS}|{_LEAP}-02-29)"
_HOUR = "([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"{_HOUR}:[0-5][0-9](\.[0-9]{{1,6}})?(Z|[+-]{_HOUR})"
_WORD = "[A-Za-z0-9]+(-[A-Za-z0-9]+)*"
FORMATS: dict[str, list[dict[str, Any]]] = {
    "date": [{"pattern": f"^{_DATE}$"}],
    "time": [{"pattern": f"^{_TIME}$"}],
    "date-time": [{"pattern": f"^{_DATE}T{_TIME}$"}],
    "hostname": [
        {"pattern": rf"^{_WORD}(\.{_WORD})*$", "maxLength": 253},
        {"pattern": r"^[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$"},
    ],
}
"""Formats that llguidance 1.9.1 takes too widely: it knows no leap years, lets a leap second into any
minute, and names in Punycode stand for any letters. Here no year 0, no leap seconds, no Punycode."""


def sound_pattern(pattern: str) -> str:
    """A pattern that Rust reads as ECMA-262 does, or more narrowly. Raises `SchemaError` where there is none.

    >>> sound_pattern("^a.[[&b]$") == "^a" + SAME["."] + r"[\\[\\&b]$"
    True
    """
    written, within, opened = "", "", -1  # within: how the brackets that are open begin
    for token in re.findall(r"\\.|\[\^?|--|.", pattern, re.DOTALL):
        unlike = token[0] == "\\" and token[1:].isalnum() and token[1] not in ESCAPES
        if unlike or (within and token == "--") or (token == "]" and len(written) == opened):
            raise SchemaError(f"the pattern {pattern!r} has {token}, which is not the same to all readers")
        if token == "]":
            within = ""
        elif within and token[0] in "[&~":  # operators to Rust
            token = "\\" + token
        elif within == "[^":
            token = SAME_EXCLUDED.get(token, token)
        elif token[0] == "[":
            within, opened = token, len(written + token)
        elif not (within and token == "."):
            token = SAME.get(token, token)
        written += token
    return written
