"""Names that clients made up, on their way into a header."""

import pytest

from gateway.request.dropped import told


def test_names_are_told_once_and_in_their_order() -> None:
    assert told(("user", "tools.strict", "a_new_1", "user")) == ("user", "tools.strict", "a_new_1")
    assert told(()) == ()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a,b",
        "a b",
        "a\r\nset-cookie: b",
        "a\nb",
        "a\rb",
        "a\0b",
        "é",
        "a\x85b",
        "1a",
        "a..b",
        ".",
        "x" * 65,
    ],
)
def test_what_is_no_name_is_told_as_such(name: str) -> None:
    assert told(("seed", name, f"{name}!")) == ("seed", "unknown")


def test_of_too_many_the_last_are_not_told_one_by_one() -> None:
    found = told(f"name_{number}" for number in range(3000))
    assert found[0] == "name_0" and found[-1] == "unknown"
    assert 2000 < len(",".join(found)) <= 2048
    assert told(["x" * 64] * 3000) == ("x" * 64,)
