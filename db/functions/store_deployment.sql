create or replace function flux.store_deployment(
    code_sha     text,
    content_sha  text,
    bundle       bytea,
    project      text,
    files        integer,
    functions    text[],
    stored_by    text,
    out version  integer,
    out is_new   boolean
)
    language plpgsql
    volatile
    set search_path = ''
as $$
begin
    -- One deployment at a time: versions are numbered without gaps, and what is active must not change meanwhile.
    lock table flux.activations in share row exclusive mode;

    -- The same content is the same version; only a commit is a better name than one that no repository knows.
    select stored.version
    into version
    from flux.stored_deployments as stored
    where stored.content_sha = store_deployment.content_sha
        and (
            stored.code_sha = store_deployment.code_sha
            or flux.is_commit(stored.code_sha)
            or not flux.is_commit(store_deployment.code_sha)
        )
    order by stored.code_sha <> store_deployment.code_sha, stored.version desc
    limit 1;

    is_new := version is null;
    if is_new then
        insert into flux.stored_deployments
            (version, code_sha, content_sha, bundle, project, files, functions, stored_by)
        select
            coalesce(max(stored.version), 0) + 1,
            store_deployment.code_sha,
            store_deployment.content_sha,
            store_deployment.bundle,
            store_deployment.project,
            store_deployment.files,
            store_deployment.functions,
            store_deployment.stored_by
        from flux.stored_deployments as stored
        returning stored_deployments.version into version;
    end if;
end
$$;

comment on function flux.store_deployment(text, text, bytea, text, integer, text[], text) is
    'Stores a bundle under the next version, or finds the version that has this content already.';

revoke all on function flux.store_deployment(text, text, bytea, text, integer, text[], text) from public;
