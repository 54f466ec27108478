"""The pipeline's stages, one folder each; how they are declared and run is in ``contract``."""

from viker.core.interrupt import end_quietly_while_importing

end_quietly_while_importing()
