"""Errors that a command reports to the user."""


class CommandError(Exception):
    """The command cannot be carried out; the text is printed to stderr in one line, exit code 2."""


class UnreachableError(CommandError):
    """No server answers at the given address."""
