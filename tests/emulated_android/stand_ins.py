"""Texts of the small programs on the device: cheap shell scripts that read what the test has set.

`$DEVICE/state` holds one file per fact. Where a fact is a sequence, one per line, each query uses up a line; the last
one stays.
"""

_GETPROP = """#!/bin/sh
if [ $# = 0 ]; then cat "$DEVICE/state/all_properties"; exit; fi
value=$2
if [ -f "$DEVICE/state/properties/$1" ]; then IFS= read -r value < "$DEVICE/state/properties/$1"; fi
printf '%s\\n' "$value"
"""

_TASKSET = """#!/bin/sh
if [ $# -lt 2 ]; then echo 'taskset: Need 2 arguments (see "taskset --help")' >&2; exit 1; fi
mask=$1; shift
case $mask in
  0x*) digits=${mask#0x};;
  *) digits=$mask;;
esac
case $digits in
  ''|*[!0-9a-fA-F]*) echo "taskset: bad mask '$mask'" >&2; exit 1;;
esac
read -r online < "$DEVICE/state/online_cores"
if [ $(( 0x$digits & online )) = 0 ]; then echo "taskset: failed to set 0's affinity: Invalid argument" >&2; exit 1; fi
echo "$mask" >> "$DEVICE/state/masks"
EMULATED_MASK=$mask exec "$@"
"""

_DUMPSYS = """#!/bin/sh
next() {
  { read -r now; rest=$(cat); } < "$DEVICE/state/$1"
  [ -z "$rest" ] || printf '%s\\n' "$rest" > "$DEVICE/state/$1"
}
case $1 in
  battery)
    next battery_temperature
    cat <<END
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 2770000
  status: 5
  health: 2
  present: true
  level: 100
  scale: 100
  voltage: 4350
  temperature: $now
  technology: Li-ion
END
    ;;
  thermalservice)
    next thermal_status
    cat <<END
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 1
	killed: false
	broadcasts count: -1
ThermalStatusListeners:
	callbacks: 1
	killed: false
	broadcasts count: -1
Thermal Status: $now
END
    ;;
  *) echo "Can't find service: $1" >&2;;
esac
"""

_DF = """#!/bin/sh
read -r free < "$DEVICE/state/available_kb"
total=115249236
echo 'Filesystem     1K-blocks      Used Available Use% Mounted on'
used=$((total - free))
printf '/dev/block/dm-8 %9d %9d %9d %3d%% /data\\n' $total $used "$free" $((100 * used / total))
"""

OLD_DF = """#!/bin/sh
tenths() {
  number=$(($1 * 10)); unit=K
  if [ $number -gt 10240 ]; then number=$((number / 1024)); unit=M; fi
  if [ $number -gt 10240 ]; then number=$((number / 1024)); unit=G; fi
  printf '%6d.%d%s' $((number / 10)) $((number % 10)) $unit
}
read -r free < "$DEVICE/state/available_kb"
total=115249236
status=0
echo 'Filesystem               Size     Used     Free   Blksize'
for path in "${@:-/data}"; do
  shown=${path#"$DEVICE"}
  case $shown in
    /data) ;;
    *) if [ ! -e "$path" ]; then echo "$shown: No such file or directory" >&2; status=1; continue; fi;;
  esac
  printf '%-20s' "$shown"; tenths $total; tenths $((total - free)); tenths "$free"; echo '   4096'
done
exit $status
"""

_DIGEST = """#!/bin/sh
for file; do
  original=$file
  { read -r first; read -r second; } < "$file" 2> /dev/null
  case $second in
    '# in place of '*) original=$DEVICE/originals/${second#\\# in place of };;
  esac
  sum=$(/usr/bin/DIGEST < "$original") || exit 1
  echo "${sum%% *}  $file"
done
"""

SCRIPTS = {
    "getprop": _GETPROP,
    "taskset": _TASKSET,
    "dumpsys": _DUMPSYS,
    "df": _DF,
    "sha256sum": _DIGEST.replace("DIGEST", "sha256sum"),
    "md5sum": _DIGEST.replace("DIGEST", "md5sum"),
}

FOREIGN_PROGRAM = """#!/bin/sh
# in place of {digest}
echo "/system/bin/sh: $0: not executable: {bits}-bit ELF file" >&2
exit 126
"""

PROGRAM = """#!{python} -IS
# in place of {digest}
import _socket, posix, sys, time
door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
age = repr(time.process_time()).encode()
words = [b"{flavour}", posix.environ.get(b"EMULATED_MASK", b""), age, posix.getcwdb()]
words += [word.encode("utf-8", "surrogateescape") for word in sys.argv]
request = b"\\0".join(words)
try:
    door.connect("{socket}")
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in (1, 2))
    door.sendmsg([len(request).to_bytes(4, "little"), request], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    answer = door.recv(4)
except OSError:
    answer = b""
status = int.from_bytes(answer, "little", signed=True) if answer else -9
if status < 0:
    posix.kill(posix.getpid(), -status)
posix._exit(status)
"""
