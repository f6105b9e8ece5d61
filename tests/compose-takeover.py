#!/usr/bin/env python3
"""Who made a container does not matter: a project with every attribute that one machine can honour goes from docker-compose 1.29
to ours and back, and from docker-compose 2 to ours and back, and no container is made anew.

usage: tests/compose-takeover.py GANTRY BUSYBOX.tar DOCKER-COMPOSE-2

docker-compose 1.29 is taken from the path when `docker-compose` is that there. All is on our engine, in namespaces of its own.
"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../bench"))
import engines  # noqa: E402

# What 1.29 knows as well: every attribute whose effect needs no other machine, driver or device.
SHARED = """
version: "3.9"
x-own: &own {restart: unless-stopped, stop_grace_period: 0s}
services:
  db:
    <<: *own
    image: busybox
    command: [sleep, "1000"]
    environment: {A: 1, B: two, C: , D: 1.5, E: "true"}
    labels: [a=b, c]
    healthcheck: {test: [CMD, "true"], interval: 1m30s, timeout: 10s, retries: 3, start_period: 1s}
    ulimits: {nofile: 500, nproc: {soft: 100, hard: 200}}
    networks: {back: {aliases: [database], ipv4_address: 10.77.1.9}}
    secrets: [word, {source: word, target: again}]
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    tmpfs: [/run, /tmp]
    sysctls: {net.core.somaxconn: 1024}
    extra_hosts: ["somehost:10.1.1.1"]
    dns: 10.9.9.9
    dns_search: [example.org]
    dns_opt: [timeout:1]
    init: true
    deploy: {resources: {limits: {cpus: "0.50", memory: 64M}, reservations: {memory: 20M}}, restart_policy: {condition: on-failure, max_attempts: 4}}
  web:
    <<: *own
    build: {context: ., dockerfile: File, args: {X: 1}, labels: {built: here}, target: last}
    image: takeover-web
    command: sh -c 'while true; do sleep 1; done'
    entrypoint: [env]
    depends_on: [db]
    links: ["db:alias"]
    networks: [back, default]
    ports: ["80", "8081:81", "127.0.0.1:9092:92/udp", "7000-7001:90-91", {target: 99, published: 9099, protocol: tcp, mode: host}]
    expose: [3000, "4000"]
    volumes:
      - ./here:/a:ro
      - data:/b
      - /anonymous
      - {type: bind, source: ./here, target: /c, read_only: true}
      - {type: volume, source: data, target: /d, volume: {nocopy: true}}
      - {type: tmpfs, target: /e, tmpfs: {size: 1000000}}
    env_file: [e.env]
    user: "0"
    working_dir: /b
    hostname: host
    domainname: example.org
    tty: true
    stdin_open: true
    privileged: true
    read_only: true
    stop_signal: SIGINT
    shm_size: 32M
    group_add: ["5"]
    security_opt: [label:disable]
    logging: {driver: json-file, options: {max-size: 1m}}
    devices: ["/dev/null:/dev/nothing"]
    oom_score_adj: 5
    pids_limit: 100
    cpu_shares: 512
    cpuset: "0"
    ipc: shareable
    pid: host
  host: {<<: *own, image: busybox, command: sleep 1000, network_mode: host, container_name: takeover-host, mem_limit: 64m, volumes_from: [web]}
  joined: {<<: *own, image: busybox, command: sleep 1000, network_mode: "service:db"}
  many: {<<: *own, image: busybox, command: sleep 1000, scale: 2}
networks:
  back: {driver: bridge, labels: {of: mine}, ipam: {config: [{subnet: 10.77.1.0/24}]}}
volumes: {data: {labels: {of: mine}}}
secrets: {word: {file: ./word}}
"""

# What only today's specification has.
TODAY = """
  today:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    depends_on: {db: {condition: service_started, restart: true, required: true}}
    annotations: {note: here}
    configs: [{source: text, target: /text, mode: 0440}]
    environment: {A: "${UNSET:-default}"}
    env_file: [{path: e.env, required: true}, {path: none.env, required: false}]
    cgroup: private
    uts: host
    userns_mode: host
    blkio_config: {weight: 10}
    post_start: [{command: [touch, /started], user: root}]
    pre_stop: [{command: ["true"]}]
    healthcheck: {test: echo, start_interval: 5s, start_period: 10s}
    networks: {back: {priority: 5, gw_priority: 1, mac_address: "02:42:ac:11:65:43", driver_opts: {com.docker.network.endpoint.sysctls: "net.ipv4.conf.IFNAME.log_martians=1"}}}
    volumes:
      - {type: bind, source: ./made, target: /made, bind: {create_host_path: true, propagation: rprivate}}
      - {type: image, source: busybox, target: /image}
    develop: {watch: [{path: ., action: sync, target: /w}]}
    extra_hosts: {one: 10.1.1.2}
    label_file: l.env
    pull_policy: missing
    attach: false
configs: {text: {content: "some text"}}
"""

program, busybox, two = (os.path.abspath(word) for word in sys.argv[1:4])
engine = engines.gantry(program)
with tempfile.TemporaryDirectory(prefix="takeover-") as folder:
    app = os.path.join(folder, "app")
    os.makedirs(os.path.join(app, "here"))
    link = os.path.join(folder, "docker-compose")
    os.symlink(program, link)
    for name, text in {"word": "hush\n", "e.env": "F=file\nA=other\n", "l.env": "of=file\n",
                       "File": "FROM busybox AS last\nARG X\n"}.items():
        with open(os.path.join(app, name), "w") as file:
            file.write(text)

    def run(command, *words):
        done = subprocess.run([command, *words], cwd=app, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env={
            **os.environ, "DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_BUILDKIT": "0", "DOCKER_CONFIG": folder})
        assert done.returncode == 0, f"{command} {words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def ids():
        return sorted(engine.text("ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}}").splitlines())

    def both_ways(name, file, theirs, flags):
        """Theirs makes, ours takes over, and the other way round."""
        with open(os.path.join(app, "docker-compose.yml"), "w") as out:
            out.write(file)
        run(theirs, "up", "-d")
        made = ids()
        told = run(link, "up", "-d")
        assert ids() == made, f"ours made containers of {name} anew:\n{told}\n{run(link, '--dry-run', 'up', '-d')}"
        told = run(theirs, "up", "-d")
        assert ids() == made, f"{name} made its own anew after us:\n{told}"
        run(link, "down", "-v", "-t", "0")
        assert ids() == [], ids()
        run(link, *flags, "up", "-d")
        made = ids()
        told = run(theirs, "up", "-d")
        assert ids() == made, f"{name} made ours anew:\n{told}"
        run(theirs, "down", "-v", "-t", "0")
        assert ids() == [], ids()
        print(f"{len(made)} containers went from {name} to ours and from ours to it as they were")

    try:
        engine.run("load", "-i", busybox)
        head, tail = SHARED.split("networks:\n  back:")
        both_ways("docker-compose 2", f"{head}{TODAY}networks:\n  back:{tail}", two, [])
        one = shutil.which("docker-compose")
        version = subprocess.run([one, "version", "--short"], capture_output=True, text=True).stdout if one else ""
        if version.startswith("1."):
            both_ways("docker-compose 1", SHARED, one, ["--compatibility"])
        else:
            print("docker-compose 1 is not here")
    finally:
        engine.stop()
