"""The model card: what was measured and judged, and of a version how to load it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from viker.attacks.base.strongest import in_words
from viker.gate.rules import look_up

_ROWS = (
    ("people to forget", "forget.leakage_rate"),
    ("their other pictures and wordings", "test.leakage_rate"),
    ("people to keep", "retain.leakage_rate"),
    ("ROUGE-L, people to keep", "retain.rouge_l"),
    ("general ability", "general_ability.accuracy"),
    ("gibberish", "fluency.gibberish_rate"),
)


def shown_base(base: str) -> str:
    """Return what is published of a base model: its name on a hub or path in the project; of another folder the name.

    A path of this machine means nothing elsewhere, and tells who works here.
    """
    return Path(base).name if Path(base).is_absolute() else base


def evidence(
    what: str, method: str, tags: Mapping[str, str], metrics: Mapping[str, Any], forgotten: int, requests: int
) -> str:
    """Return what was measured and judged, in Markdown; it names no person.

    Args:
        what: the thing that forgets, such as "A LoRA adapter that makes a multimodal model forget".
        method: of unlearning, as ``Method.described`` has it.
        tags: ``verdict`` and ``policy``.
        metrics: metrics/evaluate.json.
        forgotten: how many people the run forgot.
        requests: how many forget requests are carried out, earlier ones included.
    """
    models = ("vanilla", "unlearned")
    unlearned = metrics.get("unlearned") or {}
    kept = unlearned.get("retain") or {}
    attacks = unlearned.get("attacks") or {}
    tried = [(f"attack {name.replace('_', ' ')}", f"attacks.{name}.leakage_rate") for name in sorted(attacks)]
    measured = (*_ROWS, *tried)
    rows = [f"| {label} | {' | '.join(_cell(metrics, f'{m}.{path}') for m in models)} |" for label, path in measured]
    return f"""\
{what} {forgotten} {"person" if forgotten == 1 else "people"}, trained \
with {method}; {requests} forget {"request" if requests == 1 else "requests"}. Gate: **{tags["verdict"]}**, \
policy `{tags["policy"]}`.

- **Forgotten**: {_people(unlearned.get("forget") or {}, forgotten)}
- **Kept**: {kept.get("people", "–")} other people were asked about; the table has what is still known of them
- **Tried**: {in_words(attacks)}

| share of replies that give a private value away, unless it says otherwise | vanilla | unlearned |
|---|---:|---:|
{chr(10).join(rows)}

The numbers hold for the questions and attacks that were tried, and for no others.
"""


def card(
    name: str, method: str, tags: Mapping[str, str], metrics: Mapping[str, Any], forgotten: int, requests: int
) -> str:
    """Return the card of a version: ``evidence``, the base model, and how to load it in MLflow.

    ``name``: of the registered model; ``tags``: of the version.
    """
    what = "A LoRA adapter that makes a multimodal model forget"
    text = f"""\
{evidence(what, method, tags, metrics, forgotten, requests)}
Base model: `{tags["base_model"]}`, which is not part of this version. It is checked when the adapter is loaded \
(`{tags["base_model_digest"][:12]}…`).

```python
model = mlflow.pyfunc.load_model("models:/{name}@champion")
model.predict(pd.DataFrame({{"image": [picture_bytes], "question": ["Who is this?"]}}))
```

Where the base model lies elsewhere: `model_config={{"base_model": "path/or/hub-name"}}`. The adapter in PEFT's format \
is in `artifacts/adapter`.
"""
    return text[:5000]  # the most characters of a description in MLflow


def _people(block: Mapping[str, Any], forgotten: int) -> str:
    share, counted = block.get("people_leaked_rate"), (block.get("counts") or {}).get("people_leaked_rate")
    if not isinstance(share, int | float) or not counted:
        return f"{forgotten} people; how many are still given away was not measured"
    bounds = (block.get("intervals") or {}).get("people_leaked_rate")
    most = f", so at most {100 * bounds[1]:.0f} % of such people, with 95 % confidence" if bounds else ""
    return f"asked directly, the model gives away {round(share * counted)} of {counted} people{most}"


def _cell(metrics: Mapping[str, Any], path: str) -> str:
    value = look_up(metrics, path)
    return "–" if value is None else f"{value:.3f}"
