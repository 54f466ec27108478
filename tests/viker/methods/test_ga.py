"""GA's loss."""

from tests.viker.methods.plain import forget, likelihood


def written_out(inputs, settings):
    return likelihood(forget(inputs))
