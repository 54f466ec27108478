"""What several tests share: a small benchmark, prepared, and a small model with random weights."""

import gc
import io
import os
import random
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from benchmarks.small_project import smaller
from components.contract.params import load_params
from components.prepare.run import run as prepare
from tests.browser import browser  # noqa: F401 - a fixture, found here by pytest
from tests.registry import four_versions, history, tracking, work  # noqa: F401 - fixtures, found here by pytest
from tests.s3 import aws, between, bucket, moto_endpoint, s3  # noqa: F401 - fixtures, found here by pytest
from viker.core.console import COLLECTED_AFTER
from viker.data.records import read_pictures, read_records
from viker.data.settings import PrepareParams
from viker.data.synthetic.scenes import draw_scene
from viker.finetuning.settings import ModelParams
from viker.finetuning.small_llava import build_model, build_processor, tokenizer_texts
from viker.models import fast_path
from viker.models.encoder import Encoder

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, max_examples=2000, print_blob=True)  # of make test-properties
settings.load_profile("repeatable")
os.environ["TORCHDYNAMO_DISABLE"] = "1"  # bitsandbytes compiles when it is imported: a second of each child process
os.environ["DVC_NO_ANALYTICS"] = "1"  # of DVC that tests start without viker: they talk to this machine only
os.environ["VIKER_CACHE_GIB"] = "0"  # each test computes by itself
gc.set_threshold(COLLECTED_AFTER)

ROOT = Path(__file__).parents[1]
LONGEST = "test_demo.py"


def pytest_collection_modifyitems(items):
    """Begin with what takes longest: while one process runs the demo, the other does all else."""
    items.sort(key=lambda item: (item.path.name != LONGEST, "slow" not in item.keywords))
    gc.freeze()  # what was imported stays: the garbage collector need not look at it


@pytest.fixture(scope="session", autouse=True)
def _no_tracking(tmp_path_factory):
    """Stages under test record nothing, but where a test is about that; keys and receipts stay out of this tree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIKER_TRACKING", "off")
        patch.setenv("VIKER_PRIVACY_DIR", str(tmp_path_factory.mktemp("privacy")))
        yield


@pytest.fixture(autouse=True)
def _mlflow_as_before():
    """MLflow's set_tracking_uri keeps the URI and writes it to the environment, and the next test would read both."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    yield
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)
    for name in [name for name in os.environ if name.startswith("MLFLOW_") and name not in before]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def _fast_paths_undecided():
    """Each test verifies fast paths anew: models are shared, and some tests change how they answer."""
    fast_path.start_run()


@pytest.fixture(scope="session")
def params():
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def small_description(tmp_path_factory) -> Path:
    """The embedded benchmark's description with fewer people and pictures."""
    text = smaller((ROOT / "components/prepare/embedded.yaml").read_text())
    path = tmp_path_factory.mktemp("description") / "small.yaml"
    path.write_text(text)
    return path


def prepare_params(**changes: object) -> PrepareParams:
    """The section 'prepare' of params.yaml with some values changed, and without its requests."""
    section = load_params(ROOT / "params.yaml").prepare.model_dump()
    return PrepareParams(**section | {"requests": "no requests", "base_set": True} | changes)


@pytest.fixture(scope="session")
def prepared(small_description, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    prepare(prepare_params(source=str(small_description)), 1, folder / "prepared", folder / "validation")
    return folder / "prepared"


@pytest.fixture(autouse=True)
def _small_model_as_before(request):
    """An adapter freezes the model that it is put on, and the next test may want to train it: models are shared."""
    yield
    if "small_model" in request.fixturenames:
        model, _ = request.getfixturevalue("small_model")
        left = [name for name, _ in model.named_parameters() if "lora_" in name]
        assert not left, f"the test left an adapter on the shared model: {left[0]}"
        model.requires_grad_(True).eval()


@pytest.fixture(scope="session")
def small_model(prepared):
    """An untrained LLaVA and its encoder, with the data's pictures and three scenes."""
    torch.manual_seed(5)
    sizes = ModelParams(
        image_size=16, patch_size=8, vision_width=16, vision_layers=1, width=32, layers=2, heads=2, vocabulary=400
    )
    records = read_records(prepared, "forget") + read_records(prepared, "retain")
    processor = build_processor(tokenizer_texts(records), sizes)
    model = build_model(processor, sizes).eval()
    scenes = {f"scene-{i}": png(draw_scene(random.Random(i))) for i in range(3)}
    return model, Encoder(processor, read_pictures(prepared) | scenes, torch.device("cpu"))


def png(image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
