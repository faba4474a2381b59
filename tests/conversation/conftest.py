import pytest


@pytest.fixture(autouse=True)
def models_are_loaded_once(request: pytest.FixtureRequest) -> None:
    """For the tests with the offline engine."""
    parameters = request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()
    if any(getattr(parameter, "name", "") == "local" for parameter in parameters):
        request.getfixturevalue("shared_models")
