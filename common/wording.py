"""Translates pydantic's validation errors into sentences for operators."""

import difflib
from collections.abc import Collection, Iterable
from typing import Any, Final

_NUMBER: Final = "must be a number"
_WHOLE_NUMBER: Final = "must be a whole number"
_SENTENCES: Final = {
    "missing": "must be set",
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "multiple_of": "must be a multiple of {multiple_of}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} characters",  # of a secret
    "too_long": "must have at most {max_length} characters",
    "url_parsing": "must be a URL, with its scheme and host",
    "url_syntax_violation": "must be a URL, with its scheme and host",
    "url_scheme": "must begin with {schemes}",
    "extra_forbidden": "is not a known setting",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "string_unicode": "must be text in UTF-8",
    "string_type": "must be text",
}
# Errors whose sentence is followed by the setting's description.
_DESCRIBED: Final = {"missing", "url_parsing", "url_scheme"}


def sentence(problem: Any, description: str | None) -> str:  # noqa: ANN401  # pydantic's ErrorDetails
    """Return what a value must be, without quoting the value.

    Args:
        problem: one of `ValidationError.errors(include_context=True, include_input=False)`.
        description: the description of the setting, if it has one.
    """
    kind, context = problem["type"], problem.get("ctx", {})
    if context.get("min_length") == 1:
        return "must not be empty"
    if schemes := context.get("expected_schemes"):  # "'ws' or 'wss'"
        context = {"schemes": schemes.replace("' ", ":// ").replace("'", "") + "://"}
    template = _SENTENCES.get(kind)
    if template is None:  # the texts of Callscribe's validators, and errors not in the table
        return str(problem["msg"]).removeprefix("Value error, ")
    text = template.format(**context)
    return f"{text} ({description.rstrip('.')})" if description and kind in _DESCRIBED else text


def unknown_sentence(names: Iterable[str], known: Collection[str]) -> str:
    """Return a sentence that names unknown settings, each with a similar name if there is one."""
    return "unknown: " + ", ".join(_with_suggestion(name, known) for name in names)


def near_miss(name: str, given: Collection[str]) -> str | None:
    """Return the name in `given` that is the most similar to `name`, if one is similar enough."""
    return next(iter(difflib.get_close_matches(name, given, n=1, cutoff=0.88)), None)


def _with_suggestion(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f"{name} (did you mean {close[0]}?)" if close else name
