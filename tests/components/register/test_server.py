"""Against a real MLflow server with its files on S3: two at once, killed at any point, tried again."""

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterator

import pytest
from mlflow import MlflowClient

from tests.registry import Work, fill, new_work, put_aliases
from tests.viker.tracking.cutting import cutting
from tests.viker.tracking.server import Server
from viker.core.mlflow_client import PatientClient
from viker.registry.promotion import Refused, promote, rollback
from viker.registry.versions import Registry

pytestmark = pytest.mark.slow
FORK = multiprocessing.get_context("fork")
WRITES = (
    *("set_registered_model_tag", "delete_registered_model_tag", "set_registered_model_alias"),
    *("delete_registered_model_alias", "set_model_version_tag", "delete_model_version_tag"),
)
"""What a promotion or a rollback asks the server to change."""


@pytest.fixture(scope="module")
def served(tmp_path_factory, moto_endpoint) -> Iterator[Work]:
    """The four versions of ``history`` on a server."""
    server = Server(tmp_path_factory.mktemp("server"), moto_endpoint)
    server.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            work = new_work(tmp_path_factory.mktemp("served"), server.uri, patch)
            fill(work)
            yield work
    finally:
        server.kill()


def in_a_process(action: Callable[[], object]) -> int:
    """Run an action in a process of its own and return how it ended: 0, 3 for a refusal, -9 for a kill."""

    def body() -> None:
        try:
            action()
        except Refused:
            os._exit(3)
        except BaseException:
            os.write(2, traceback.format_exc().encode())
            os._exit(1)
        os._exit(0)

    process = FORK.Process(target=body)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def killed_at(point: int, action: Callable[[], object]) -> int:
    """Run an action in a process that is killed before its write number ``point``, counted from 0."""

    def body() -> None:
        left = [point]

        def counted(name: str) -> Callable[..., object]:
            real = getattr(MlflowClient, name)

            def call(*arguments, **named):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(*arguments, **named)

            return call

        for name in WRITES:
            setattr(MlflowClient, name, counted(name))
        action()

    return in_a_process(body)


def patient(address: str) -> PatientClient:
    return PatientClient(MlflowClient(tracking_uri=address))


def left_locks(work: Work) -> list[str]:
    return [tag for tag in work.client.get_registered_model(work.name).tags if tag.startswith("lock.")]


def test_of_two_promotions_at_once_the_second_is_held_against_the_first(served, monkeypatch):
    """Each may replace nobody, but neither forgets whom the other does: one must be refused."""
    real = Registry.coverage

    def slow(self, version):  # both would have looked before one of them moves, were there no lock
        coverage = real(self, version)
        time.sleep(0.5)
        return coverage

    monkeypatch.setattr(Registry, "coverage", slow)
    for _ in range(3):
        put_aliases(served, {})
        queue = FORK.Queue()

        def both(version, queue=queue):
            queue.put((version, in_a_process(lambda: promote(served.registry, version, served.policy))))

        processes = [FORK.Process(target=both, args=(version,)) for version in (2, 4)]
        for process in processes:
            process.start()
        ended = dict(queue.get(timeout=60) for _ in processes)
        for process in processes:
            process.join(60)
        assert sorted(ended.values()) == [0, 3]
        winner = next(version for version, code in ended.items() if code == 0)
        assert served.aliases() == {"candidate": 4, "champion": winner}
        assert left_locks(served) == []


def test_a_promotion_killed_at_any_point_leaves_one_champion_and_can_be_repeated(served):
    champions = []
    for point in range(20):
        put_aliases(served, {"champion": 1})
        code = killed_at(point, lambda: promote(served.registry, 2, served.policy))
        champions.append(served.aliases()["champion"])
        assert set(served.aliases()) <= {"candidate", "champion", "previous"} and champions[-1] in (1, 2)
        promote(served.registry, 2, served.policy)
        assert served.aliases() == {"candidate": 4, "champion": 2, "previous": 1}
        assert served.registry.promotion(2)["done"] and left_locks(served) == []
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert code == 0 and point >= 6
    assert champions == sorted(champions) and set(champions) == {1, 2}


@pytest.mark.parametrize("arrives", [False, True])
def test_a_promotion_ends_well_though_every_connection_breaks_once(served, arrives):
    put_aliases(served, {"champion": 1})
    with cutting(served.registry.uri, arrives) as (address, broken):
        promote(Registry(patient(address), address, served.name), 2, served.policy)
    assert {request.split()[0] for request in broken} == {"GET", "POST", "DELETE"}
    assert served.aliases() == {"candidate": 4, "champion": 2, "previous": 1} and left_locks(served) == []


def test_a_rollback_killed_at_any_point_leaves_one_champion_and_goes_back_once(served):
    reason = "the adapter breaks the product"
    for point in range(20):
        put_aliases(served, {"champion": 2, "previous": 1})
        code = killed_at(point, lambda: rollback(served.registry, {}, reason))
        assert served.aliases()["champion"] in (1, 2)
        if code == 0 or (served.registry.promotion(1) or {}).get("done"):
            break
        rollback(served.registry, {}, reason)
        assert served.aliases() == {"candidate": 4, "champion": 1} and left_locks(served) == []
    assert point >= 6 and served.aliases() == {"candidate": 4, "champion": 1}


def test_a_version_whose_answer_was_lost_is_not_made_again(served, monkeypatch):
    real = MlflowClient.create_model_version
    lost = []

    def answer_lost(*arguments, **named):
        version = real(*arguments, **named)
        if not lost:
            lost.append(version.version)
            raise ConnectionError("the connection was reset")
        return version

    monkeypatch.setattr(MlflowClient, "create_model_version", answer_lost)
    before = len(served.versions())
    served.unlearn(seed=11)
    served.evaluate()
    registered = served.register()
    assert lost == [str(registered["version"])] and len(served.versions()) == before + 1


def test_two_registrations_of_the_same_at_once_make_one_version(served):
    before = len(served.versions())
    served.unlearn(seed=12)
    served.evaluate()
    processes = []
    for _ in range(2):
        process = FORK.Process(target=lambda: os._exit(in_a_process(served.register)))
        process.start()
        processes.append(process)
    for process in processes:
        process.join(90)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(served.versions()) == before + 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["log_artifact", "create_model_version", "set_registered_model_alias"])
def test_a_registration_that_is_killed_and_repeated_makes_one_version(served, call, when):
    before = len(served.versions())
    served.unlearn(seed=20 + len(call) + len(when))
    served.evaluate()

    def register() -> None:
        real = getattr(MlflowClient, call)

        def die(*arguments, **named):
            if when == "after":
                real(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(MlflowClient, call, die)
        served.register()

    assert in_a_process(register) == -signal.SIGKILL
    registered = served.register()
    assert len(served.versions()) == before + 1 and registered["version"] == before + 1
    assert served.aliases()["candidate"] == registered["version"]


def test_the_models_page_shows_aliases_and_tags(served, browser, tmp_path):
    put_aliases(served, {"champion": 1})
    promote(served.registry, 2, served.policy)
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{served.registry.uri}/#/models/{served.name}")
    page.get_by_text("@ champion").first.wait_for(timeout=30_000)
    for text in ("@ candidate", "@ previous"):
        assert page.get_by_text(text).first.is_visible(), text
    page.goto(f"{served.registry.uri}/#/models/{served.name}/versions/2")
    page.get_by_text("leakage").first.wait_for(timeout=30_000)
    body = page.inner_text("body")
    for text in ("verdict", "pass", "requests", "r1, r2", "base_model", "A LoRA adapter that makes"):
        assert text in body, text
    folder = os.environ.get("VIKER_SCREENSHOTS", str(tmp_path))
    page.screenshot(path=f"{folder}/model-version.png")
    page.goto(f"{served.registry.uri}/#/models/{served.name}")
    page.get_by_text("@ champion").first.wait_for(timeout=30_000)
    page.screenshot(path=f"{folder}/model.png")
    page.close()
