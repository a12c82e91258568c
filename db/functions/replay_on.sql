create or replace function flux.replay_on(request uuid, code text)
    returns uuid
    language sql
    stable
    set search_path = ''
as $$
    with meant as (
        select stored.code_sha
        from flux.stored_deployments as stored
        where code ~* '^v?[0-9]{1,6}$'
            -- A condition may be evaluated before the one above it, so the cast has its own.
            and stored.version = case when code ~* '^v?[0-9]{1,6}$' then ltrim(lower(code), 'v')::integer end
    ),

    replay as (
        select made.request_id, made.code_sha, made.started_at
        from flux.trace_requests as made
        where made.replay_of = request
            and made.outcome <> 'running'
            and (
                made.code_sha in (select meant.code_sha from meant)
                or (code ~* '^[0-9a-f]{6,}$' and flux.is_commit(made.code_sha) and starts_with(made.code_sha, lower(code)))
                or (code like '%+%' and starts_with(made.code_sha, lower(code)))
            )
    )

    select replay.request_id
    from replay
    where (select count(distinct every.code_sha) from replay as every) = 1
    order by replay.started_at desc
    limit 1
$$;

comment on function flux.replay_on(uuid, text) is
    'The latest replay of a request on code given as a version, the first digits of a commit, or the name of changed code; null when there is none, or when it may be one of several.';
