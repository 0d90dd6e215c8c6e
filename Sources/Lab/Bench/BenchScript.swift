import Workloads

/// What the benchmark has a machine do; run as root by `LabHands`, on the reference OS's own programs. The lines that come
/// back are `BenchReadings`.
enum BenchScript {
    /// The program in the lab's image.
    static let program = "/bin/apus-bench"
    /// Where the scripts keep what they need.
    static let folder = "/run/apus-lab"
    /// In the words of an order: the number of the round.
    static let round = "ROUND"

    /// The script without what is read from it by the programs that it starts: they would take its own lines for theirs.
    private static func whole(_ body: String) -> String { "{\n\(body)\n} </dev/null\n" }

    // MARK: Sizes

    /// Measures memory and processes five times; partitions' sizes too.
    ///
    /// - Parameter uptimeSeconds: how long the machine must have run before, so that what it does as it starts is over.
    static func sizes(_ when: String, uptimeSeconds: Int) -> String {
        whole(
            #"""
            while read -r up rest </proc/uptime && [ "${up%%.*}" -lt \#(uptimeSeconds) ]; do sleep 2; done
            for again in 1 2 3 4 5; do
                sleep 4
                agent=$(systemctl show --property=MainPID --value apus-agent.service)
                while read -r name value rest; do
                    case $name in MemTotal:) total=$value ;; MemAvailable:) available=$value ;; esac
                done </proc/meminfo
                echo "SAMPLE \#(when).used $((total - available))"
                while read -r name value rest; do
                    [ "$name" = VmRSS: ] && echo "SAMPLE \#(when).rss $value"
                done <"/proc/$agent/status"
                while read -r name value rest; do
                    [ "$name" = Pss: ] && echo "SAMPLE \#(when).pss $value"
                done <"/proc/$agent/smaps_rollup"
                count=0
                for directory in /proc/[0-9]*; do
                    { read -r line <"$directory/stat" && read -r group <"$directory/cgroup"; } 2>/dev/null || continue
                    set -- ${line##*) }
                    # PF_KTHREAD (linux/sched.h); and the shell that measures does not count.
                    [ $(($7 & 0x200000)) -eq 0 ] || continue
                    case $group in *lab-hands.service*) continue ;; esac
                    count=$((count + 1))
                done
                echo "SAMPLE \#(when).processes $count"
            done
            for file in /sys/class/block/*/uevent; do
                label=
                while IFS='=' read -r name value; do [ "$name" = PARTNAME ] && label=$value; done <"$file"
                [ -n "$label" ] && read -r sectors <"${file%uevent}size" &&
                    echo "SAMPLE partition.$label $((sectors / 2))"
            done
            """#)
    }

    /// Waits until nothing of a workload is left.
    static let untilEmpty = whole(
        """
        for again in $(seq 600); do
            [ -z "$(ls /run/apus/bundles 2>/dev/null)" ] && echo empty && break
            sleep 0.5
        done
        """)

    /// Versions, for the table's head.
    static let versions = whole(
        """
        echo "kernel $(uname -r), $(crun --version | head -n 1), $(systemctl --version | head -n 1)"
        """)

    // MARK: Starts

    /// Times starts of the workload `bench`'s program by turns: by `crun` alone, in three ways, by the agent's order, and
    /// by podman where there is one.
    ///
    /// - Parameter order: the words by which the agent would start the workload, with `round` in the names.
    static func starts(order: [String], rounds: Int) -> String {
        whole(
            preparation
                + #"""
                for round in $(seq \#(rounds)); do
                    runtime="crun --root $here/crun"
                    direct plain "crun --root $here/plain" run --bundle $here/bare lab
                    direct ungrouped "$runtime --cgroup-manager=disabled" run --bundle $here/bare lab
                    direct same "$runtime --cgroup-manager=disabled" run --bundle "$bundle" lab
                    unit
                    peer
                done
                """#.replacing("    unit\n", with: "    unit \(ordered(order))\n"))
    }

    private static func ordered(_ words: [String]) -> String { words.map(quoted).joined(separator: " ") }

    /// A word for a shell, in which the round's number is filled in.
    static func quoted(_ word: String) -> String {
        "'" + word.replacing("'", with: "'\\''").replacing(round, with: "'\"$round\"'") + "'"
    }

    /// The program says when it began, by the machine's clock, and what counts is the time from right before the first
    /// program of a start is called. What ends it is not counted.
    private static let preparation = #"""
        here=\#(folder)
        mkdir -p $here/bare $here/crun $here/plain
        bundle=$(echo /run/apus/bundles/bench-*)
        cp "$bundle/rootfs\#(program)" $here/apus-bench
        cd $here/bare
        rm -f config.json
        crun spec
        sed -i -e 's/"terminal": true/"terminal": false/' -e 's|"sh"|"\#(program)", "start"|' \
            -e "s|\"path\": \"rootfs\"|\"path\": \"$bundle/rootfs\"|" config.json
        grep -q '"\#(program)", "start"' config.json || echo "FAILED plain crun spec has another form"
        grep -q "\"path\": \"$bundle/rootfs\"" config.json || echo "FAILED plain crun spec has another form"
        rm -f $here/said
        mkfifo $here/said
        exec 4<>$here/said
        now() { echo "${EPOCHREALTIME/[.,]/}"; }
        heard() {
            local again
            word= real= monotonic=
            # It is there within a second; longer only where something failed.
            for again in $(seq 30); do
                read -t 2 -r word real monotonic <&4 && [ "$word" = START ] && return 0
                kill -0 "$2" 2>/dev/null || break
            done
            echo "FAILED $1 $(head -c 300 $here/errors | tr '\n' ' ') -"
            return 1
        }
        direct() {
            local name=$1 runtime=$2 begin child
            shift 2
            begin=${EPOCHREALTIME/[.,]/}
            $runtime "$@" >&4 2>$here/errors &
            child=$!
            heard $name $child && echo "SAMPLE $name $((real - begin))"
            $runtime delete --force lab >/dev/null 2>&1
            wait $child
        }
        unit() {
            local begin name=apus-lab-start-$round.service line= again main
            begin=${EPOCHREALTIME/[.,]/}
            systemctl reset-failed $name >/dev/null 2>&1
            "$@" 2>$here/errors
            # The program's line is in the journal; looking for it must not disturb the start.
            for again in 1 2 3 4 5 6 7 8; do
                sleep 2
                line=$(journalctl --quiet --no-pager --output=cat --unit=$name | grep '^START ' | tail -n 1)
                [ -n "$line" ] && break
            done
            set -- $line
            if [ $# -eq 3 ]; then
                echo "SAMPLE unit $(($2 - begin))"
                main=$(systemctl show --property=ExecMainStartTimestampMonotonic --value $name)
                echo "SAMPLE unit.before $((main - $3 + $2 - begin))"
                echo "SAMPLE unit.runtime $(($3 - main))"
            else
                echo "FAILED unit $(head -c 300 $here/errors | tr '\n' ' ') -"
            fi
            systemctl stop $name >/dev/null 2>&1
        }
        peer() {
            command -v podman >/dev/null || return 0
            local begin child
            if [ ! -d $here/podman ]; then
                mkdir $here/podman
                cp -a "$bundle/rootfs/." $here/podman
            fi
            begin=${EPOCHREALTIME/[.,]/}
            podman run --rm --name lab --network=none --rootfs $here/podman \#(program) start >&4 2>$here/errors &
            child=$!
            heard podman $child && echo "SAMPLE podman $((real - begin))"
            podman rm --force --time 0 lab >/dev/null 2>&1
            wait $child
        }

        """#

    // MARK: Calls

    /// Times calls of the functions `bench-cold`, whose instances end at once, and `bench-warm`. `starts` left the
    /// program that calls.
    static func calls(rounds: Int) -> String {
        let group = "/sys/fs/cgroup/" + SystemdUnit.controlGroup("apus-workload-")
        return whole(
            #"""
            call() { \#(folder)/apus-bench call 9900 "/$1" "$2" 0 "$3"; }
            ended() {
                local again
                for again in $(seq 300); do
                    set -- \#(group)bench-cold-*_*.service
                    [ -e "$1" ] || return 0
                    sleep 0.2
                done
                echo "FAILED cold an instance did not end"
                return 1
            }
            frozen() {
                local again state
                for again in $(seq 100); do
                    for file in \#(group)bench-warm-*_*.service/cgroup.events; do
                        while read -r state value; do
                            [ "$state $value" = "frozen 1" ] && return 0
                        done <"$file"
                    done 2>/dev/null
                    sleep 0.1
                done
                echo "FAILED thaw the instance was not frozen"
                return 1
            }
            call bench-cold 1 first
            call bench-warm 1 first
            for round in $(seq \#(rounds)); do
                ended && sleep 1 && call bench-cold 1 cold
                for again in 1 2; do frozen && sleep 0.5 && call bench-warm 1 thaw; done
            done
            call bench-warm 30 warm &
            call bench-warm 30 warm
            wait
            """#)
    }
}
