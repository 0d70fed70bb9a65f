"""What is wrong with what was filled in, said beside the fields it is about."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.admin.errors import AdminError

FORM = ""
"""Stands for the form as a whole, where no field is to blame."""


def faults_by_field(error: AdminError, fields: Sequence[str]) -> dict[str, str]:
    """The error's details by the field whose name their paths hold: ``allowed_models.2`` is about
    ``allowed_models``. What is about no field is about the `FORM`."""
    if not isinstance(error.details, list):
        return {FORM: error.message}
    found: dict[str, list[str]] = {}
    for problem in error.details:
        field, message = _placed(problem["path"], problem["message"], fields)
        found.setdefault(field, []).append(message)
    return {field: "; ".join(dict.fromkeys(messages)) for field, messages in found.items()}


def _placed(path: str, message: str, fields: Sequence[str]) -> tuple[str, str]:
    for field in fields:
        if f".{field}." in f".{path}.":
            return field, message
    return FORM, f"{path}: {message}" if path else message
