#!/bin/sh
# Runs in the guest (see run.sh): gantry-runtime on a host with nothing but cgroup v2.
. /begin.sh
mkdir -p /bundle/rootfs/bin /bundle/rootfs/proc /bundle/rootfs/sys /bundle/rootfs/dev
cp /bin/busybox /bundle/rootfs/bin/busybox
for name in sh cat echo sleep true; do ln -s busybox /bundle/rootfs/bin/$name; done
cd /bundle
cat >config.json <<'JSON'
{ "ociVersion": "1.0.2",
  "process": { "terminal": false, "user": { "uid": 0, "gid": 0 }, "cwd": "/", "env": ["PATH=/bin"],
    "args": ["sh", "-c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight; cat /proc/self/cgroup"] },
  "root": { "path": "rootfs" },
  "mounts": [
    { "destination": "/proc", "type": "proc", "source": "proc" },
    { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
    { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "ro"] } ],
  "linux": { "cgroupsPath": "/gantry/test",
    "resources": { "memory": { "limit": 33554432 }, "pids": { "limit": 20 }, "cpu": { "quota": 50000, "period": 100000, "shares": 512 },
      "devices": [ { "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm" } ] },
    "namespaces": [ { "type": "pid" }, { "type": "mount" }, { "type": "uts" }, { "type": "ipc" }, { "type": "cgroup" }, { "type": "network" } ] } }
JSON
set -- $(gantry-runtime run one 2>&1)
check "memory.max" 33554432 "${1:-}"
check "pids.max" 20 "${2:-}"
check "cpu.max" "50000 100000" "${3:-} ${4:-}"
# Shares 512 of 1024 in today's scale, where 1024 is 100 (runc 1.3.2 and crun 1.23 have it so).
check "cpu.weight" 59 "${5:-}"
check "own cgroup is the root of its namespace" "0::/" "${6:-}"
check "the cgroup is gone" 0 "$(ls -d /sys/fs/cgroup/gantry/test 2>/dev/null | wc -l)"
sed -i 's|"args": \[.*\] }|"args": ["sleep", "100"] }|' config.json
gantry-runtime create two </dev/null >/dev/null 2>&1 && gantry-runtime start two
check "running" 1 "$(gantry-runtime state two | grep -c '"running"')"
gantry-runtime pause two
check "frozen" "frozen 1" "$(grep frozen /sys/fs/cgroup/gantry/test/cgroup.events)"
gantry-runtime resume two
gantry-runtime update --memory 67108864 two
check "updated" 67108864 "$(cat /sys/fs/cgroup/gantry/test/memory.max)"
check "exec sees null" "" "$(gantry-runtime exec two cat /dev/null 2>&1)"
gantry-runtime kill two KILL
gantry-runtime delete --force two
check "no cgroup is left" 0 "$(ls -d /sys/fs/cgroup/gantry/test 2>/dev/null | wc -l)"
exit $failed
