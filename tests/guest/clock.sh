#!/bin/sh
# Runs in the guest (see run.sh): a clock that jumps by years in both directions under a working engine, and a kernel that gives
# no user namespace: the engine asks for none.
. /begin.sh
launch
gantry load -q -i /busybox.tar >/dev/null 2>&1
none="--network none"

gantry run -d --name box $none --health-cmd 'test -e /tmp/well' --health-interval 1s --health-retries 1 busybox \
    sh -c 'touch /tmp/well; trap "" TERM; while :; do echo tick; sleep 1; done' >/dev/null
gantry run -d --name back $none --restart always busybox sh -c 'sleep 1; exit 1' >/dev/null
until_is "healthy" healthy gantry inspect -f '{{.State.Health.Status}}' box
now=$(date +%s)
for jump in "forth 31536000" "back -63072000"; do
    way=${jump% *}
    date -s @$((now + ${jump#* })) >/dev/null
    check "$way: exec" in "$(gantry exec box echo in)"
    check "$way: run" hi "$(gantry run --rm $none busybox echo hi 2>&1)"
    has "$way: it runs on" "Up" "$(gantry ps --filter name=box --format '{{.Status}}')"
    count=$(inspect back '{{.RestartCount}}')
    until_has "$way: restarts go on" yes sh -c "[ \$(gantry inspect -f '{{.RestartCount}}' back) -gt $count ] && echo yes"
    gantry exec box rm /tmp/well
    until_is "$way: health is looked at" unhealthy gantry inspect -f '{{.State.Health.Status}}' box
    gantry exec box touch /tmp/well
    until_is "$way: and mends" healthy gantry inspect -f '{{.State.Health.Status}}' box
    has "$way: logs" tick "$(gantry logs --tail 1 box)"
    has "$way: logs of the last seconds" tick "$(gantry logs --since 30s box 2>&1 | tail -1)"
    has "$way: events have the new time" start "$(gantry events --since $(($(date +%s) - 600)) --until "$(date +%s)" --filter event=start --format '{{.Action}}')"
done

# The wait of a stop is counted by what cannot jump: while it waits the clock goes a year forth and a year back.
begin=$(cut -d. -f1 /proc/uptime)
gantry stop -t 4 box >/dev/null &
sleep 1
date -s @$((now + 31536000)) >/dev/null
sleep 1
date -s @$now >/dev/null
wait $!
took=$(($(cut -d. -f1 /proc/uptime) - begin))
check "a stop's patience does not jump ($took s)" yes "$([ $took -ge 4 ] && [ $took -lt 30 ] && echo yes)"
check "it is ended" "exited 137" "$(inspect box '{{.State.Status}} {{.State.ExitCode}}')"
gantry rm -f box back >/dev/null
end
date -s @$((now - 31536000)) >/dev/null
launch
check "a start a year before what is recorded" hi "$(gantry run --rm $none busybox echo hi 2>&1)"
date -s @$now >/dev/null
end

echo 0 >/proc/sys/user/max_user_namespaces
launch
check "no user namespaces" hi "$(gantry run --rm $none busybox echo hi 2>&1)"
end
exit $failed
