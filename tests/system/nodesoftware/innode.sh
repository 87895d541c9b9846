# Runs a program on a node's eth0, and does what takes addresses away, at least three times, until there is a file STOP or
# it was thirty times. Each time waits until the addresses are back; what was gone how long: the times that ip monitor
# prints. Usage: innode.sh PROGRAM OPERATION STOP OWN-ADDRESS VIP...
. "$(dirname "$0")/enter.sh"
. "$(dirname "$0")/$1.sh"
stop=$3 own=$4 vips=("${@:5}")

removals() { grep --count "^\[.*\] Deleted .* inet ${vips[0]}/" /run/monitor; }
has_removed_again() { [ "$(removals)" -gt "$before" ]; }

ip -tshort -oneline monitor address >/run/monitor &
start
until_true has "$own"
until_true has "${vips[@]}"
for time in $(seq 30); do
    [ $time -le 3 ] || [ ! -e "$stop" ] || break
    before=$(removals)
    $2 >/run/said 2>&1 || cat /run/said
    until_true has_removed_again
    until_true has "$own" "${vips[@]}"
    sleep 0.3
done
cat /run/monitor
