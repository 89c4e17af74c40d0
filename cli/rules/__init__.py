"""`./run rules`: checks a rules file, tries it on calls, explains why a rule raised nothing.

command   the subcommands check, test and explain
calls     reads finished calls from Redis, or calls recorded by `./run tail --json`
report    what `test` prints
"""
