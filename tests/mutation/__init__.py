"""Mutation testing of the pure modules: small changes of the code that a test should notice.

    mutants.py    the changes: one per mutant, as source text
    targets.py    which modules are changed, and which tests run for each
    runner.py     runs those tests against a mutant, in a temporary copy of the tree
    __main__.py   the command, `./run mutate`

A mutant that no test notices (a survivor) shows a missing test, or code without an effect. Some
survivors are equivalent to the original, so they are information and not an error.
"""
