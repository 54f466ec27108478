"""The order of the stages, and the commands that span them."""

from viker.core.interrupt import end_quietly_while_importing

end_quietly_while_importing()
