-- name: page
-- Newest first. Ids are UUIDv7, so the key orders by time of creation.
select
    j.id, j.kind, j.state, j.progress, j.params, j.created_at, j.cancel_requested_at, j.result, j.error_code,
    j.error_message,
    array(
        select b.sha1 from job_inputs i join blobs b using (sha256) where i.job_id = j.id order by i.position
    ) as inputs
from jobs j
where j.kind = any(cast(:kinds as text[]))
    and (cast(:states as text[]) is null or j.state = any(cast(:states as text[])))
    and (cast(:created_after as timestamptz) is null or j.created_at >= :created_after)
    and (cast(:created_before as timestamptz) is null or j.created_at < :created_before)
    and (
        cast(:input as text) is null
        or exists (select from job_inputs i where i.job_id = j.id and i.sha256 = :input)
    )
    and j.id between :low and :high
order by j.id desc
limit :limit
