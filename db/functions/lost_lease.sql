create or replace function flux.lost_lease(job bigint)
    returns jsonb
    language sql
    immutable
    set search_path = ''
as $$
    select jsonb_build_object(
        'outcome', 'error',
        'status', 500,
        'output', null,
        'error_type', 'LeaseLost',
        'error_code', 'XF502',
        'error_message', format('job:%s is no longer this worker''s: its lease ran out, or it was cancelled', job)
    )
$$;

comment on function flux.lost_lease(bigint) is
    'What becomes of the record of an attempt that ended after its job was taken from it.';
