"""``viker validate``: parameters and forget requests, checked without running anything."""

from pathlib import Path

from components.contract.params import load_params
from pipelines.cli.registry import requests_folder
from viker.core.console import JsonOption, ParamsOption, say, say_json
from viker.core.errors import UserError
from viker.data.requests import read_requests
from viker.gate.policies import load_policy
from viker.storage import is_remote


def validate(params: ParamsOption = Path("params.yaml"), as_json: JsonOption = False) -> None:
    """Check the parameters, the gate's policy, the forget requests and that local files they name are there.

    Reads no data and loads no model: `viker doctor` does. Exit codes: 0 all is well, 1 something is not.
    """
    problems: list[str] = []
    pending = 0
    try:
        settings = load_params(params)
    except UserError as error:
        problems.append(str(error))
    else:
        for check in (lambda: load_policy(settings.gate), lambda: settings.evaluate.in_force()):
            try:
                check()
            except UserError as error:
                problems.append(str(error))
        try:
            if not is_remote(settings.prepare.requests):
                requests = read_requests(requests_folder(settings.prepare.requests)).values()
                pending = sum(request.carried_out is None for request in requests)
        except UserError as error:
            problems.append(str(error))
        source, model = settings.prepare.source, settings.finetune.deployed_model
        if not is_remote(source) and not Path(source).exists():
            problems.append(f"prepare.source is '{source}': no such file or folder.")
        if model is not None and (model.startswith((".", "/")) or model.count("/") > 1) and not Path(model).is_dir():
            problems.append(f"finetune.deployed_model is '{model}': no such folder.")
        if model is None and source.endswith(".yaml") and not settings.prepare.base_set:
            problems.append(
                "finetune.deployed_model is null: a model trained from scratch needs prepare.base_set: true, as the "
                "profile scratch sets it."
            )
    if as_json:
        say_json({"valid": not problems, "problems": problems, "pending_requests": pending})
    if problems:
        raise UserError(" ".join(problems))
    if not as_json:
        say(f"{params}: valid; {pending} pending requests.")
