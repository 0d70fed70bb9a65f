"""Asking for a password."""

from __future__ import annotations

import sys
from getpass import getpass


def ask() -> str:
    """From the terminal, twice; or one line of standard input. Raises ValueError, for the user to read."""
    if sys.stdin is None:  # it was closed
        raise ValueError("no password was given")
    if sys.stdin.isatty():
        try:
            password = getpass()
            repeated = getpass("Again: ")
        except EOFError:
            raise ValueError("no password was given") from None
        if password != repeated:
            raise ValueError("the two are not the same")
    else:
        try:
            password = sys.stdin.readline().rstrip("\r\n")
            password.encode()
        except UnicodeError:
            raise ValueError("the password is not valid UTF-8 text") from None
    if not password:
        raise ValueError("the password is empty")
    return password
