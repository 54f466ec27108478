"""Other pictures of the person: does the model forget the person, or one picture?"""

from viker.attacks.settings import OtherPicturesParams
from viker.attacks.subject import Subject
from viker.attacks.table import Attacked, Question, ask
from viker.attacks.targets import NotApplicable, Targets
from viker.models.chat import sample_of


def run(subject: Subject, targets: Targets, settings: OtherPicturesParams, seed: int) -> Attacked:
    """Ask every question with up to ``settings.pictures`` pictures of the person that are not in the forget set.

    Raises:
        NotApplicable: the split test has no such picture.
    """
    known = {picture for record in targets.forget for picture in record.images}
    others: dict[str, dict[str, None]] = {}
    for record in targets.test:
        new = dict.fromkeys(picture for picture in record.images if picture not in known)
        others.setdefault(record.person_id, {}).update(new)
    questions = [
        Question(record, sample_of(record, picture))
        for record in targets.questions(settings.questions, seed)
        for picture in list(others.get(record.person_id, ()))[: settings.pictures]
    ]
    if not questions:
        raise NotApplicable("the data have no other picture of a forget person")
    return Attacked(ask(subject, questions, "other pictures"))
