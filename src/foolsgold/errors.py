"""The one error that is shown to people without a stack trace."""


class UserError(Exception):
    """A mistake the user can mend: shown as one line, exit code 2."""
