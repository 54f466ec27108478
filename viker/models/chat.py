"""Old names, for imports that have not moved yet."""

from viker.data.samples import Sample as Sample
from viker.data.samples import sample_of as sample_of
from viker.models.encoder import IGNORED as IGNORED
from viker.models.encoder import Batch as Batch
from viker.models.encoder import Encoder as Encoder
from viker.models.logits import answer_logits as answer_logits
