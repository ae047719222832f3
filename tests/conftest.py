from collections.abc import Iterator

import pytest

# Nobody listens on the discard port: a test that forgets its server fails fast, and stays here.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="session", autouse=True)
def _own_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Points every cache and every download of the tests, and of their processes, elsewhere."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EFFBENCH_CACHE", str(home / "effbench"))
        patch.setenv("KERAS_HOME", str(home / "keras"))
        patch.setenv("EFFBENCH_CIFAR10_URL", f"{NOWHERE}/cifar-10-python.tar.gz")
        patch.setenv("EFFBENCH_WEIGHTS_URL", NOWHERE)
        yield
