-- name: patience
-- A leader that says nothing for `seconds` is cut off, which frees its lock: stopped, hung or unplugged, all the same.
select
    set_config('idle_session_timeout', cast(:seconds as text) || 's', false),
    set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '2', false)

-- name: take
select pg_try_advisory_lock(:lock) as taken

-- name: beat
select true

-- name: give_up
select pg_advisory_unlock(:lock)
