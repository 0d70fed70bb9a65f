"""Header lines: nobody but the gateway ends one."""

import pytest

from gateway.request.head import line


def test_a_line() -> None:
    assert line("x-coo-cost", "0.5") == "x-coo-cost: 0.5\r\n"


@pytest.mark.parametrize("mark", ["\r", "\n", "\r\n", "\0", "\x7f", "\x85"])
def test_one_with_a_control_character_is_not_written(mark: str) -> None:
    for name, value in ((f"x{mark}y", "1"), ("x", f"1{mark}2")):
        with pytest.raises(ValueError, match="control character"):
            line(name, value)
