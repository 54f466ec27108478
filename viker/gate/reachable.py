"""Can the policy be met with these data at all? Said before a long run: what asks for questions that there aren't."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from viker.data.protocols import Protocol
from viker.data.tasks import OPEN_TASKS, SPLITS, UNSEEN
from viker.evaluation.questions import asked_tasks, question_counts
from viker.gate.policies import load_policy
from viker.gate.rules import OPERATORS, parse_rule
from viker.gate.settings import GateParams
from viker.metrics.base.catalogue import metrics_of

KINDS = {OPEN_TASKS: "open questions", ("cloze",): "cloze questions", ("classification",): "choice questions"}
"""What the tasks of a metric are called."""
_SPLIT = re.compile(rf"(?:unlearned|vanilla)\.(?P<split>{'|'.join(SPLITS)})\.(?P<text>text_only\.)?(?P<metric>[a-z_]+)")
_COUNT = re.compile(r"(?:unlearned|vanilla)\.(?P<split>[a-z]+)\.(?P<what>samples|people)")


def unreachable(params: GateParams, prepared: Path, protocol: Protocol) -> list[str]:
    """Return why no adapter can pass the gate with these data, a sentence each: ``out_of_reach`` and ``not_asked``."""
    asked = asked_tasks(prepared, protocol)
    return [*out_of_reach(params, question_counts(prepared, protocol)), *not_asked(params, asked)]


def out_of_reach(params: GateParams, counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a sentence for each rule or requirement on counts that these data can't meet.

    ``counts``: by split, how many ``samples`` (questions that evaluate asks) and ``people`` there are.

    Raises UserError: the policy's file is missing or is no policy.
    """
    policy, _ = load_policy(params)
    named = f"the policy '{params.policy}'" if params.policy else "params.yaml"
    texts = dict.fromkeys([*(rule.rule for rule in policy.rules), *(each.metric for each in policy.require)])
    return [
        f"{named} requires {text}, but the data have {there} of {split}: the gate can't pass. Bring more data, or name "
        "another policy in gate.policy."
        for text, split, there in _counted(texts, counts)
    ]


def not_asked(params: GateParams, asked: Mapping[tuple[str, str, str], int]) -> list[str]:
    """Return a sentence on what the rules judge and these data have no question about; [] where there is nothing.

    ``asked``: how many questions evaluate asks, by split, modality and task.

    Raises UserError: the policy's file is missing or is no policy.
    """
    policy, _ = load_policy(params)
    metrics = {metric.name: metric for metric in metrics_of("split")}
    missing: dict[str, dict[str, None]] = {}
    for rule in (parse_rule(rule.rule) for rule in policy.rules):
        for path in (each.path for each in (rule.metric, rule.reference) if each is not None):
            match = _SPLIT.fullmatch(path)
            if match and match["metric"] in metrics:
                tasks = metrics[match["metric"]].tasks
                modality, where = ("text", "without") if match["text"] else ("image_text", "with")
                if not any(asked.get((match["split"], modality, task)) for task in tasks):
                    kind = f"{KINDS.get(tuple(tasks), ' or '.join(tasks))} {where} a picture"
                    missing.setdefault(kind, {})[match["split"]] = None
            if ".membership." in path and not any(count for (split, *_), count in asked.items() if split == UNSEEN):
                missing["people that no model was trained on"] = {UNSEEN: None}
    if not missing:
        return []
    named = f"the policy '{params.policy}'" if params.policy else "params.yaml"
    kinds = "; ".join(f"{kind} ({', '.join(splits)})" for kind, splits in missing.items())
    return [
        f"{named} judges what the data don't ask, and what isn't measured fails: {kinds}. Add such rows, as "
        "docs/data.md says, or name another policy in gate.policy."
    ]


def _counted(texts: Iterable[str], counts: Mapping[str, Mapping[str, int]]) -> Iterable[tuple[str, str, str]]:
    for text in texts:
        if not set(text) & set("<>"):
            continue
        rule = parse_rule(text)
        match = _COUNT.fullmatch(rule.metric.path)
        if match is None or rule.reference is not None or rule.metric.bound is not None:
            continue
        there = counts.get(match["split"], {}).get(match["what"], 0)
        if not OPERATORS[rule.operator](there, rule.factor):
            words = {"samples": "question", "people": "person"}[match["what"]]
            many = {"question": "questions", "person": "people"}[words]
            yield text, match["split"], f"{there} {words if there == 1 else many}"
