"""What a command tells whoever typed it."""


class CommandError(Exception):
    """The command cannot do what was asked: one clear line for stderr, exit code 2."""


class UnreachableError(CommandError):
    """Nothing answers where the command was told to connect."""
