#!/usr/bin/env python3
"""OpenStack's own Swift on this machine, all in one folder: a proxy, one device, TempAuth; with `--keystone`, Keystone before it.

usage: openstack_here.py FOLDER PORT [--dynamic | --second PORT | --keystone PORT]

Run by a Python that has `swift` (and `keystone`, `keystonemiddleware`). User `test:tester` with password `testing`; for Keystone user
`tester` of project `images` in domain `Default`, same password, region `here`. `--dynamic` leaves static large objects out; `--second` puts
Keystone's second version (which Keystone itself has left) before TempAuth. Ends with its standard input; a folder can be used again.
"""
import configparser
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from wsgiref import simple_server

BIN = os.path.dirname(sys.executable)
PROXY = {
    "tempauth": "catch_errors healthcheck memory bulk tempurl tempauth copy slo dlo proxy-server",
    "keystone": "catch_errors healthcheck bulk tempurl authtoken keystoneauth copy slo dlo proxy-server",
}


# On a busy machine half a second for a connection to a device is soon over, and then the only one is left out for a minute.
PATIENT = {"conn_timeout": "30", "node_timeout": "60", "recoverable_node_timeout": "60", "error_suppression_limit": "1000000"}


class Memory(dict):
    """What TempAuth keeps its tokens in, in the place of a memcached."""

    def __bool__(self):
        return True

    def get(self, key, *_, **__):
        return dict.get(self, key)

    def set(self, key, value, *_, **__):
        self[key] = value

    def delete(self, key, *_, **__):
        self.pop(key, None)

    def incr(self, key, delta=1, *_, **__):
        self[key] = dict.get(self, key, 0) + delta
        return self[key]


def memory_filter(_config, **_settings):
    memory = Memory()

    def wrapped(application):
        def answer(environ, start):
            environ["swift.cache"] = memory
            return application(environ, start)
        return answer
    return wrapped


def free():
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return tcp.getsockname()[1]


def listens(port):
    with socket.socket() as tcp:
        return tcp.connect_ex(("127.0.0.1", port)) == 0


def write(path, **sections):
    config = configparser.RawConfigParser()
    config.optionxform = str
    for name, fields in sections.items():
        config[name.replace("__", ":")] = fields
    with open(path, "w") as file:
        config.write(file)


def run(*command, **more):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **more)


def dies_with_us():
    """prctl(2): PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Swift:
    def __init__(self, folder, port, keystone, dynamic):
        self.folder, self.keystone, self.dynamic = folder, keystone, dynamic
        os.makedirs(f"{folder}/devices/d1", exist_ok=True)
        write(f"{folder}/swift.conf", **{"swift-hash": {"swift_hash_path_suffix": "ours"}})
        self.processes = [self.storage(kind) for kind in ("account", "container", "object")]
        self.processes.append(self.proxy(port))

    def common(self, port):
        return {"bind_ip": "127.0.0.1", "bind_port": port, "swift_dir": self.folder, "workers": 0, "log_address": f"{self.folder}/nolog"} | PATIENT

    def start(self, kind):
        log = open(f"{self.folder}/{kind}.log", "w")
        return subprocess.Popen([sys.executable, f"{BIN}/swift-{kind}-server", f"{self.folder}/{kind}.conf", "-v"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=dies_with_us,
                                env=os.environ | {"PYTHONPATH": os.path.dirname(os.path.abspath(__file__))})

    def storage(self, kind):
        port = free()
        write(
            f"{self.folder}/{kind}.conf",
            DEFAULT=self.common(port) | {"devices": f"{self.folder}/devices", "mount_check": "false"},
            **{"pipeline:main": {"pipeline": f"{kind}-server"}, f"app:{kind}-server": {"use": f"egg:swift#{kind}"}},
        )
        builder = f"{self.folder}/{kind}.builder"
        if os.path.exists(builder):
            os.remove(builder)
        ring = (sys.executable, f"{BIN}/swift-ring-builder", builder)
        run(*ring, "create", "4", "1", "0")
        run(*ring, "add", "--region", "1", "--zone", "1", "--ip", "127.0.0.1", "--port", str(port), "--device", "d1", "--weight", "1")
        run(*ring, "rebalance")
        process = self.start(kind)
        # The proxy is started when all it asks are there: who reaches it reaches the whole.
        while process.poll() is None and not listens(port):
            time.sleep(0.05)
        return process

    def proxy(self, port):
        pipeline = PROXY["keystone" if self.keystone else "tempauth"]
        if self.dynamic:
            pipeline = pipeline.replace(" slo", "")
        filters = {name: {"use": f"egg:swift#{name}"} for name in pipeline.split()[:-1] if name != "authtoken"}
        filters["memory"] = {"paste.filter_factory": "openstack_here:memory_filter"}
        filters["tempauth"] = {"use": "egg:swift#tempauth", "user_test_tester": "testing .admin", "token_life": "86400"}
        filters["keystoneauth"] = {"use": "egg:swift#keystoneauth", "operator_roles": "admin, member"}
        if self.keystone:
            filters["authtoken"] = {
                "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory", "auth_type": "password", "interface": "public",
                "www_authenticate_uri": self.keystone.url, "auth_url": self.keystone.url, "username": "tester", "password": "testing",
                "project_name": "images", "user_domain_id": "default", "project_domain_id": "default", "delay_auth_decision": "true",
            }
        write(
            f"{self.folder}/proxy.conf",
            DEFAULT=self.common(port),
            **{"pipeline:main": {"pipeline": pipeline}},
            **{"app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true", "allow_account_management": "true"} | PATIENT},
            **{f"filter:{name}": fields for name, fields in filters.items()},
        )
        return self.start("proxy")

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()


class Keystone:
    """In this process: its WSGI application over SQLite."""

    def __init__(self, folder, port, swift_port):
        self.url = f"http://127.0.0.1:{port}/v3"
        config = f"{folder}/keystone.conf"
        write(
            config,
            DEFAULT={"log_file": f"{folder}/keystone.log"},
            database={"connection": f"sqlite:///{folder}/keystone.db"},
            fernet_tokens={"key_repository": f"{folder}/fernet"},
            credential={"key_repository": f"{folder}/credential"},
        )
        os.makedirs(f"{folder}/fernet", 0o700)
        os.makedirs(f"{folder}/credential", 0o700)
        manage = (sys.executable, f"{BIN}/keystone-manage", "--config-file", config)
        swift = f"http://127.0.0.1:{swift_port}/v1/AUTH_%(tenant_id)s"
        run(*manage, "db_sync", stderr=subprocess.DEVNULL)
        run(*manage, "fernet_setup", "--keystone-user", "root", "--keystone-group", "root", stderr=subprocess.DEVNULL)
        run(*manage, "bootstrap", "--bootstrap-username", "tester", "--bootstrap-password", "testing", "--bootstrap-project-name", "images",
            "--bootstrap-role-name", "admin", "--bootstrap-service-name", "keystone", "--bootstrap-region-id", "here",
            "--bootstrap-public-url", self.url, stderr=subprocess.DEVNULL)
        os.environ["OS_KEYSTONE_CONFIG_FILES"] = config
        sys.argv = sys.argv[:1]
        from keystone.server.wsgi import initialize_public_application
        application = initialize_public_application()
        self.object_store(application, swift)
        server = simple_server.make_server("127.0.0.1", port, application, handler_class=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def object_store(self, application, url):
        from keystone.common import provider_api
        catalog = provider_api.ProviderAPIs.catalog_api
        with application_context(application):
            catalog.create_service("swift", {"id": "swift", "type": "object-store", "name": "swift", "enabled": True})
            for interface in ("public", "internal"):
                endpoint = {"id": interface, "region_id": "here", "service_id": "swift", "interface": interface, "url": url, "enabled": True}
                catalog.create_endpoint(interface, endpoint)


class Second:
    """POST /v2.0/tokens, answered with what TempAuth says."""

    def __init__(self, port, swift_port):
        self.swift = f"http://127.0.0.1:{swift_port}/auth/v1.0"
        server = simple_server.make_server("127.0.0.1", port, self.answer, handler_class=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def answer(self, environ, start):
        auth = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))["auth"]
        who = auth["passwordCredentials"]
        headers = {"X-Auth-User": f"{auth['tenantName']}:{who['username']}", "X-Auth-Key": who["password"]}
        told = urllib.request.urlopen(urllib.request.Request(self.swift, headers=headers)).headers
        endpoint = {"region": "here", "publicURL": told["X-Storage-Url"]}
        services = [{"type": "identity", "endpoints": []}, {"type": "object-store", "endpoints": [{"region": "there"}, endpoint]}]
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"access": {"token": {"id": told["X-Auth-Token"]}, "serviceCatalog": services}}).encode()]


class Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


def application_context(application):
    while not hasattr(application, "app_context"):
        application = getattr(application, "app", None) or getattr(application, "application", None) or application.wsgi_app
    return application.app_context()


def main():
    folder, port = sys.argv[1], int(sys.argv[2])
    kind = sys.argv[3] if len(sys.argv) > 3 else None
    if kind == "--second":
        Second(int(sys.argv[4]), port)
    keystone = Keystone(folder, int(sys.argv[4]), port) if kind == "--keystone" else None
    swift = Swift(folder, port, keystone, kind == "--dynamic")
    try:
        sys.stdin.read()
    finally:
        swift.stop()


if __name__ == "__main__":
    main()
