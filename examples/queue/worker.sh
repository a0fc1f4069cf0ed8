# Takes jobs from the list `jobs`, one at a time, until it is told to stop. A job stays in `working:NAME` while it
# is done, and is taken up again from there after a crash, so none is lost.
set -u
name=$1
stopping=false
trap 'stopping=true' TERM

redis() { redis-cli --raw -p "$REDIS_PORT" "$@"; }

work_on() {
  echo "worker $name: $1"
  redis INCR finished >/dev/null && redis LREM "working:$name" 1 "$1" >/dev/null
}

while unfinished=$(redis LINDEX "working:$name" 0) && [[ -n $unfinished ]]; do
  work_on "$unfinished" || exit 1
done

until $stopping; do
  job=$(redis BLMOVE jobs "working:$name" LEFT RIGHT 1) || exit 1
  if [[ -n $job ]]; then
    work_on "$job" || exit 1
  fi
done
