"""Has the images that docker-py's tests take for granted there before each test: one that removes them would fail all that follow."""
import docker
import pytest


@pytest.fixture(autouse=True)
def images_are_there():
    client = docker.from_env(version="auto")
    try:
        for name in ("alpine:3.10", "alpine:latest", "busybox:latest"):
            try:
                client.images.get(name)
            except docker.errors.ImageNotFound:
                client.images.pull(name)
    finally:
        client.close()
    yield
