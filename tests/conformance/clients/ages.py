#!/usr/bin/env python3
"""A day's work with docker-py of any age since 2.0, each step a test: prints "ok NAME" or "failed NAME", and why on standard error.

usage: ages.py LABEL API-VERSION|auto       with DOCKER_HOST, and an image `busybox` in the registry that the engine asks
"""
import io
import os
import socket
import sys
import tarfile
import time
import traceback

import docker

LABEL, VERSION = sys.argv[1:]
client = docker.from_env(version=VERSION, timeout=60)
api = client.api
AGE = int(docker.version.split(".")[0]) if isinstance(docker.version, str) else int(docker.__version__.split(".")[0])
STEPS = []


def step(function):
    STEPS.append(function)
    return function


def box(command="sleep 1000", **settings):
    return client.containers.run("busybox", command, detach=True, **settings)


def said(answer):
    """What exec_run gives: bytes, then a pair."""
    return answer if isinstance(answer, bytes) else answer[1]


def code(answer):
    """What wait gives: a number, then an object."""
    return answer if isinstance(answer, int) else answer["StatusCode"]


def archive(name, data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


@step
def the_engine_says_what_it_is():
    assert client.ping()
    assert client.info()["OSType"] == "linux"
    assert client.version()["ApiVersion"]
    # Newer than the oldest version.
    assert VERSION == "1.24" or "Images" in client.df()


@step
def images_are_pulled_tagged_saved_and_loaded():
    client.images.pull("busybox", tag="latest")
    image = client.images.get("busybox:latest")
    assert image.tag("age/one", tag="1") and client.images.get("age/one:1").id == image.id
    assert [entry for entry in image.history() if "Created" in entry]
    stream = image.save()
    packed = b"".join(stream if not hasattr(stream, "stream") else stream.stream(65536))
    client.images.load(packed)
    assert any("age/one:1" in (tag or "") for listed in client.images.list(name="age/one") for tag in listed.tags)
    client.images.remove("age/one:1")
    try:
        client.images.get("age/one:1")
        raise AssertionError("a removed image is found")
    except docker.errors.ImageNotFound:
        pass


@step
def a_command_runs_and_fails():
    assert client.containers.run("busybox", "echo hi", remove=True) == b"hi\n"
    try:
        client.containers.run("busybox", ["sh", "-c", "echo no >&2; exit 3"], remove=True)
        raise AssertionError("no failure")
    except docker.errors.ContainerError as error:
        assert error.exit_status == 3, error
    try:
        client.containers.run("nobody/nothing:none", "true")
        raise AssertionError("no failure")
    except docker.errors.APIError:  # there is no such image, or no way to the registry that would know
        pass


@step
def a_container_is_as_it_was_asked():
    made = box(name="aged", labels={"a": "b"}, environment={"X": "1"}, mem_limit="64m", tmpfs={"/t": "size=1m"}, ports={"80/tcp": None},
               volumes={"/srv": {"bind": "/data", "mode": "ro"}}, restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}, hostname="h", working_dir="/tmp", cap_add=["NET_ADMIN"])
    try:
        seen = client.containers.get("aged")
        assert seen.status == "running" and seen.labels == {"a": "b"} and seen.attrs["HostConfig"]["Memory"] == 64 << 20
        assert seen.attrs["HostConfig"]["Binds"] == ["/srv:/data:ro"] and "X=1" in seen.attrs["Config"]["Env"]
        assert seen.attrs["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
        assert seen.attrs["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
        assert [listed.name for listed in client.containers.list(filters={"label": "a=b"})] == ["aged"]
        assert said(made.exec_run("sh -c 'pwd; hostname; echo $X'")) == b"/tmp\nh\n1\n"
        assert b"no\n" in said(made.exec_run(["sh", "-c", "echo no >&2"]))
        made.rename("older")
        assert client.containers.get("older").id == made.id
        made.pause()
        made.reload()
        assert made.status == "paused"
        made.unpause()
        made.update(mem_limit="32m", memswap_limit="64m")
        assert "sleep" in str(made.top()["Processes"])
        made.restart(timeout=0)
        try:
            client.containers.create("busybox", name="older")
            raise AssertionError("two of one name")
        except docker.errors.APIError as error:
            assert error.response.status_code == 409
    finally:
        made.remove(force=True)


@step
def output_is_read_whole_and_as_it_comes():
    made = box(["sh", "-c", "echo one; echo two >&2; echo three"])
    assert code(made.wait()) == 0
    assert sorted(made.logs().split()) == [b"one", b"three", b"two"]
    assert made.logs(stdout=True, stderr=False) == b"one\nthree\n" and made.logs(tail=1) in (b"three\n", b"two\n")
    assert b"".join(made.logs(stream=True, stdout=True, stderr=False)) == b"one\nthree\n"
    made.remove()
    talks = box(["sh", "-c", "read x; echo got $x"], stdin_open=True)
    wire = talks.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    raw = getattr(wire, "_sock", wire)
    raw.sendall(b"word\n")
    assert code(talks.wait()) == 0 and talks.logs() == b"got word\n"
    wire.close()
    talks.remove()


@step
def files_go_in_and_come_out():
    made = box()
    try:
        assert made.put_archive("/tmp", archive("f", b"inside"))
        stream, stat = made.get_archive("/tmp/f")
        data = b"".join(stream if not hasattr(stream, "stream") else stream.stream(65536))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            assert tar.extractfile("f").read() == b"inside" and stat["name"] == "f"
        assert {"Path": "/tmp/f", "Kind": 1} in made.diff()
        exported = made.export()
        exported = b"".join(exported if not hasattr(exported, "stream") else exported.stream(65536))
        assert b"tmp/f" in exported
        image = made.commit(repository="age/two", tag="1", changes="CMD [\"cat\", \"/tmp/f\"]")
        assert client.containers.run("age/two:1", remove=True) == b"inside"
        client.images.remove(image.id, force=True)
    finally:
        made.remove(force=True)


@step
def use_is_measured():
    made = box()
    try:
        sample = made.stats(stream=False) if AGE > 2 else made.stats(decode=None, stream=False)
        assert sample["memory_stats"]["usage"] > 0 and sample["cpu_stats"]["cpu_usage"]["total_usage"] > 0
        stream = api.stats(made.id, decode=True, stream=True)
        assert next(iter(stream))["read"]
    finally:
        made.remove(force=True)


@step
def networks_and_volumes():
    network = client.networks.create("agenet", driver="bridge", labels={"a": "b"})
    volume = client.volumes.create(name="agevol", labels={"a": "b"})
    made = box(network="agenet", volumes={"agevol": {"bind": "/v", "mode": "rw"}}, name="netted")
    try:
        network.reload()
        assert [listed.name for listed in network.containers] == ["netted"]
        assert b"netted" in said(made.exec_run("nslookup netted"))
        network.disconnect(made)
        network.connect(made, aliases=["second"])
        assert [found.name for found in client.volumes.list(filters={"name": "agevol"})] == ["agevol"]
        try:
            volume.remove()
            raise AssertionError("a volume in use went")
        except docker.errors.APIError as error:
            assert error.response.status_code == 409
    finally:
        made.remove(force=True)
        network.remove()
        volume.remove()


@step
def an_image_is_built():
    made = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nARG A=0\nRUN echo built $A > /b\nCMD cat /b\n"), tag="age/three", rm=True, buildargs={"A": "7"})
    image = made[0] if isinstance(made, tuple) else made
    assert client.containers.run("age/three", remove=True) == b"built 7\n"
    client.images.remove(image.id, force=True)
    try:
        client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN false\n"), rm=True)
        raise AssertionError("no failure")
    except docker.errors.BuildError:
        pass


@step
def events_are_heard():
    since = int(time.time()) - 1
    made = box("true", labels={"mark": LABEL})
    made.wait()
    made.remove()
    heard = [event["Action"] for event in client.events(since=since, until=int(time.time()) + 1, decode=True, filters={"label": f"mark={LABEL}", "type": "container"})]
    for action in ("create", "start", "die", "destroy"):
        assert action in heard, heard


@step
def exec_by_the_low_door():
    made = box()
    try:
        job = api.exec_create(made.id, ["cat"], stdin=True)
        wire = api.exec_start(job["Id"], socket=True)
        raw = getattr(wire, "_sock", wire)
        raw.sendall(b"through\n")
        raw.shutdown(socket.SHUT_WR)
        heard = b""
        while True:
            piece = raw.recv(4096)
            if not piece:
                break
            heard += piece
        assert heard.endswith(b"through\n"), heard
        deadline = time.time() + 20
        while api.exec_inspect(job["Id"])["Running"] and time.time() < deadline:
            time.sleep(0.05)
        assert api.exec_inspect(job["Id"])["ExitCode"] == 0
        wire.close()
    finally:
        made.remove(force=True)


@step
def what_is_left_is_pruned():
    gone = box("true", name="gone")
    gone.wait()
    if VERSION == "1.24":  # prunes are newer
        return gone.remove()
    assert client.containers.prune()["ContainersDeleted"]
    client.networks.prune()
    client.volumes.prune()
    client.images.prune()


for function in STEPS:
    name = f"{LABEL}@{VERSION}::{function.__name__}"
    try:
        function()
        print(f"ok {name}", flush=True)
    except Exception:
        traceback.print_exc()
        print(f"failed {name}", flush=True)
