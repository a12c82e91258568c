create or replace function flux.deployment_named(given text)
    returns integer
    language plpgsql
    stable
    set search_path = ''
as $$
declare
    matches integer[];
begin
    -- A short number is a version; anything longer can only be the code's name or its first digits.
    select array_agg(stored.version order by stored.version desc)
    into matches
    from flux.stored_deployments as stored
    where case
        when lower(given) ~ '^v?[0-9]{1,6}$' then stored.version = ltrim(lower(given), 'v')::integer
        when lower(given) ~ '^[0-9a-f]{7,}(\+[0-9a-f]*)?$' then starts_with(stored.code_sha, lower(given))
        else false
    end;

    if matches is null then
        raise exception 'there is no deployment %', given using
            errcode = 'XF801',
            hint = 'Run `flux deployments` to see which there are.';
    elsif cardinality(matches) > 1 and not exists (
        select
        from flux.stored_deployments as stored
        where stored.version = matches[1]
            and stored.code_sha = lower(given)
    ) then
        raise exception '% deployments have code that begins with %', cardinality(matches), given using
            errcode = 'XF802',
            detail = (select string_agg('v' || match, ', ') from unnest(matches) as match),
            hint = 'Give the version instead, such as v' || matches[1] || '.';
    end if;

    return matches[1];
end
$$;

comment on function flux.deployment_named(text) is
    'The version that 3, v3, or the first digits of its code name; raises XF801 when there is none, XF802 when there are several.';
