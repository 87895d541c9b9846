# A DHCP server: gives the host with MAC at INTERFACE this ADDRESS for two minutes. Usage: serve.sh MAC INTERFACE ADDRESS
[ -d /run/layers ] || . "$(dirname "$0")/enter.sh"
server=(dnsmasq --keep-in-foreground --port=0 --conf-file=/dev/null --user=root --log-facility=/run/dnsmasq.log
    --interface="$2" --bind-interfaces --dhcp-authoritative --dhcp-leasefile=/run/leases
    --dhcp-range=10.31.188.0,static,255.255.0.0,120 --dhcp-host="$1,$3" --dhcp-option=option:router,10.31.254.251)
# The first process of a namespace is told when unshare ends, but not after a change of rights, as dnsmasq makes one.
[ $$ = 1 ] || exec "${server[@]}"
"${server[@]}"
