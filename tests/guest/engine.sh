#!/bin/sh
# Runs in the guest (see run.sh): the whole engine on a host with nothing but cgroup v2, with AppArmor, on a kernel older than 6.5.
. /begin.sh
launch
has "info: cgroup v2" "2" "$(gantry info -f '{{.CgroupVersion}}')"
check "info: overlays on a kernel before 6.5" overlay "$(gantry info -f '{{.Driver}}')"
has "info: apparmor" "name=apparmor" "$(gantry info -f '{{.SecurityOptions}}')"
gantry load -q -i /busybox.tar >/dev/null 2>&1
none="--network none"

check "run" "hi" "$(gantry run --rm $none busybox echo hi 2>&1)"
out=$(gantry run --rm $none -m 32m --memory-reservation 16m --cpus 0.5 --pids-limit 20 --cpu-shares 512 busybox \
    sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max memory.low pids.max cpu.max cpu.weight)' 2>&1)
check "limits" "33554432 16777216 20 50000 100000 59" "$out"
check "a container's cgroup is the root of its namespace" "0::/" "$(gantry run --rm $none busybox cat /proc/self/cgroup)"

out=$(gantry run --name fat $none -m 16m busybox sh -c 'tail /dev/zero' 2>&1)
check "out of memory: exit code" 137 "$(inspect fat '{{.State.ExitCode}}')"
check "out of memory: told" true "$(inspect fat '{{.State.OOMKilled}}')"
has "out of memory: event" "oom" "$(gantry events --since 1 --until "$(($(date +%s) + 1))" --filter container=fat --filter event=oom --format '{{.Action}}')"

gantry run -d --name box $none -m 64m busybox sleep 1000 >/dev/null
check "exec" "in" "$(gantry exec box echo in)"
has "stats" "64MiB" "$(gantry stats --no-stream --format '{{.MemUsage}}' box)"
has "stats: pids" "1" "$(gantry stats --no-stream --format '{{.PIDs}}' box)"
gantry pause box >/dev/null
check "paused" paused "$(inspect box '{{.State.Status}}')"
gantry unpause box >/dev/null
gantry update -m 32m --memory-swap 64m --cpus 1 --pids-limit 30 box >/dev/null
check "updated" "33554432 100000 100000 30" "$(gantry exec box sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max cpu.max pids.max)')"
has "top" "sleep 1000" "$(gantry top box 2>&1)"

has "apparmor: the default profile holds" "docker-default (enforce)" "$(gantry exec box cat /proc/self/attr/apparmor/current 2>&1)"
has "apparmor: a run has it" "docker-default (enforce)" "$(gantry run --rm $none busybox cat /proc/self/attr/apparmor/current 2>&1)"
check "apparmor: inspect" docker-default "$(inspect box '{{.AppArmorProfile}}')"
has "apparmor: unconfined" "unconfined" "$(gantry run --rm $none --security-opt apparmor=unconfined busybox cat /proc/self/attr/apparmor/current 2>&1)"
has "apparmor: privileged is unconfined" "unconfined" "$(gantry run --rm $none --privileged busybox cat /proc/self/attr/apparmor/current 2>&1)"
has "apparmor: it denies what capabilities allow" "denied" "$(gantry run --rm $none --cap-add SYS_ADMIN busybox mount -t tmpfs x /tmp 2>&1)"
has "apparmor: a profile that is not there" "no-such-profile" "$(gantry run --rm $none --security-opt apparmor=no-such-profile busybox true 2>&1)"

gantry run -d --name sick $none --health-cmd 'test -e /tmp/well' --health-interval 1s --health-retries 1 busybox sh -c 'touch /tmp/well; sleep 1000' >/dev/null
until_is "healthy" healthy gantry inspect -f '{{.State.Health.Status}}' sick
gantry exec sick rm /tmp/well
until_is "unhealthy" unhealthy gantry inspect -f '{{.State.Health.Status}}' sick

# An image of many layers: more than fsconfig(2) takes in one option.
from=busybox
for number in 1 2 3 4 5 6 7 8 9 10 11 12; do
    gantry run --name layer $none $from touch /layer-$number >/dev/null 2>&1
    gantry commit layer many >/dev/null 2>&1
    gantry rm layer >/dev/null
    from=many
done
check "an image of thirteen layers" 12 "$(gantry run --rm $none many sh -c 'ls -d /layer-* | wc -l' 2>&1)"
check "the same as a mount" 12 "$(gantry run --rm $none --mount type=image,source=many,target=/m busybox sh -c 'ls -d /m/layer-* | wc -l' 2>&1)"
gantry create --name still $none many true >/dev/null
has "cp from a stopped one" "layer-12" "$(gantry cp still:/layer-12 - | tar t)"

gantry network create inner >/dev/null 2>&1
gantry run -d --name web --network inner -p 8080:80 busybox sh -c 'mkdir /www; echo page >/www/index.html; exec httpd -f -h /www' >/dev/null
until_is "names on a network" page gantry run --rm --network inner busybox wget -q -O - http://web/
until_is "a published port" page wget -q -O - http://127.0.0.1:8080/
has "the default network" "eth0" "$(gantry run --rm busybox ip addr 2>&1)"

pid=$(inspect box '{{.State.Pid}}')
kill -9 $engine
wait $engine 2>/dev/null
gantry_gone=$(gantry ps -q 2>/dev/null | wc -l)
check "nobody answers" 0 "$gantry_gone"
launch
check "kill -9: it runs on" "true $pid" "$(inspect box '{{.State.Running}} {{.State.Pid}}')"
check "kill -9: exec" again "$(gantry exec box echo again)"
check "kill -9: the network too" page "$(gantry run --rm --network inner busybox wget -q -O - http://web/)"

gantry rm -f $(gantry ps -aq) >/dev/null
until_is "no cgroup is left" 0 sh -c 'find /sys/fs/cgroup -mindepth 2 -type d -path "*gantry*" | grep -E "[0-9a-f]{64}" | wc -l'
end
check "no mount is left" 0 "$(grep -c gantry /proc/mounts)"
check "no process is left" 0 "$(ps | grep -c '[g]antry-shim')"

# A layer that may grow to a size: project quotas of xfs, which few test machines' own kernels have.
truncate -s 320M /disk
mkfs.xfs -q /disk && mkdir /quota && mount -t xfs -o loop,prjquota /disk /quota
mount --bind /quota /var/lib/gantry
launch
gantry load -q -i /busybox.tar >/dev/null 2>&1
write='dd if=/dev/zero of=/big bs=1M count=40 2>&1 | grep -o "No space left on device" | head -1; stat -c %s /big'
check "storage-opt: no more than its size" "No space left on device 10485760" \
    "$(gantry run --rm $none --storage-opt size=10m busybox sh -c "$write" 2>&1 | tr '\n' ' ' | sed 's/ $//')"
check "storage-opt: others are free" 41943040 "$(gantry run --rm $none busybox sh -c "$write" 2>&1)"
end
[ $failed = 0 ] || tail -40 /run/log
exit $failed
