create or replace function flux.active_deployment()
    returns table (
        version        integer,
        code_sha       text,
        content_sha    text,
        project        text,
        activation_id  bigint
    )
    language sql
    stable
    set search_path = ''
as $$
    select stored.version, stored.code_sha, stored.content_sha, stored.project, latest.id
    from (select * from flux.activations as activation order by activation.id desc limit 1) as latest
    join flux.stored_deployments as stored
        on stored.version = latest.version
$$;

comment on function flux.active_deployment() is
    'The deployment that is to be served now; no row when nothing was deployed.';
