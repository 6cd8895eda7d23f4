-- name: queued
-- An old count is not believed: its leader is gone, and nobody knows.
select consumer, queued from backlogs where counted_at > now() - interval '1 minute'
