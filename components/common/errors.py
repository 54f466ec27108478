"""The one error that means: a person can put this right."""


class UserError(Exception):
    """Something the user gave is wrong.

    The message says what is wrong, where (file, row, column, parameter), what was expected and what to do.
    Commands print it as one paragraph, without a traceback, and exit with 1.
    """
